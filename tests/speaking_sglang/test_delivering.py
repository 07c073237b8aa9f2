"""Embeddings arrive where they are wanted, on all of SGLang's ZMQ backends, and are those of the native wire."""

import asyncio
import base64
import hashlib
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import EncoderProcess, StartEncoder
from peer import Peer, unique_jpeg
from speaking_sglang.conftest import sglang_url
from speaking_sglang.language_server import LanguageServer, Modality, language_server


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def native(encoder: EncoderProcess, *media: tuple[str, bytes | Path]) -> torch.Tensor:
    """The same media by the native wire, one behind another."""
    with Peer(encoder.endpoint) as peer:
        answers = peer.ask(media)
    rows = [answers[index][1] for index in range(len(media))]
    assert all(each is not None for each in rows)
    return torch.from_numpy(np.concatenate(rows))


def as_native(rows: torch.Tensor | None) -> torch.Tensor:
    assert rows is not None
    return rows


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg"])
async def test_an_image_is_that_of_the_native_wire(
    server: LanguageServer, sglang_encoder: EncoderProcess, photos: Path, name: str
) -> None:
    # Other bytes behind the end of the file: another hash, so neither comes from the other's cache.
    part = await server.ask([encoded(unique_jpeg(photos / name, 1))])
    assert torch.equal(as_native(part.rows), native(sglang_encoder, ("image", unique_jpeg(photos / name, 2))))
    about = part.about
    assert (about.req_id, about.num_parts, about.part_idx) == ("r_local_part_0", 1, 0)
    assert about.modality is Modality.IMAGE
    assert about.grid_dim.dtype == torch.int64
    assert tuple(about.grid_dim.shape) == (1, 3)
    assert about.shape == [int(about.grid_dim.prod()) // 4, about.shape[1]]
    assert (about.embedding, about.error_msg, about.error_code, about.send_time) == (None,) * 4
    assert not hasattr(about, "second_per_grid_ts")


async def test_every_way_to_name_an_image(server: LanguageServer, photos: Path) -> None:
    photo = (photos / "coffee.png").read_bytes()
    digest = hashlib.sha256(photo).hexdigest()
    ways = [
        encoded(photo),
        "data:image/png;base64," + encoded(photo),
        f"file://{photos / 'coffee.png'}",
        str(photos / "coffee.png"),
        {"url": encoded(photo)},
        {"url": encoded(photo), "content_hash": f"sha256:{digest}", "detail": "auto", "whatever": 1},
        {"url": encoded(photo), "content_hash": digest.upper()},
    ]
    parts = [await server.ask([way], req_id=f"way-{number}_local_part_0") for number, way in enumerate(ways)]
    for each in parts[1:]:
        assert torch.equal(as_native(each.rows), as_native(parts[0].rows))


async def test_several_items_make_one_message(
    server: LanguageServer, sglang_encoder: EncoderProcess, photos: Path
) -> None:
    names = ["coffee.png", "rocket.jpg", "astronaut.png"]
    files = [(photos / name).read_bytes() for name in names]
    part = await server.ask([encoded(each) for each in files], req_id="several_local_part_0")
    assert len(part.about.grid_dim) == 3
    assert torch.equal(as_native(part.rows), native(sglang_encoder, *[("image", each) for each in files]))
    # A batch of requests comes as lists in the list.
    nested = await server.ask([[encoded(each)] for each in files], req_id="nested_local_part_0")
    assert torch.equal(as_native(nested.rows), as_native(part.rows))


async def test_modalities_are_parts_of_one_request(server: LanguageServer, photos: Path, clips: Path) -> None:
    image, video = (photos / "coffee.png").read_bytes(), (clips / "bikes.mp4").read_bytes()
    asked = await asyncio.gather(
        server.encode([encoded(image)], "IMAGE", num_parts=2, part_idx=0, req_id="mixed_local_part_0"),
        server.encode([encoded(video)] * 2, "VIDEO", num_parts=2, part_idx=1, req_id="mixed_local_part_1"),
    )
    assert [each.status for each in asked] == [200, 200]
    parts = {each.about.part_idx: each for each in [await server.receive(), await server.receive()]}
    assert parts[0].about.modality is Modality.IMAGE
    about = parts[1].about
    assert about.modality is Modality.VIDEO
    assert tuple(about.grid_dim.shape) == (2, 3)
    assert about.shape[0] == int(about.grid_dim.prod(dim=1).sum()) // 4
    assert about.second_per_grid_ts.dtype == torch.float32
    assert about.second_per_grid_ts.tolist() == [1.0, 1.0]
    first, second = as_native(parts[1].rows).chunk(2)
    assert torch.equal(first, second)
    assert await server.nothing_more()


@pytest.mark.parametrize("early", [True, False], ids=["told-before", "told-after"])
async def test_every_rank_of_a_scheduler_gets_a_copy(server: LanguageServer, photos: Path, early: bool) -> None:
    other, port = server.pull()
    item, req_id = encoded((photos / "coffee.png").read_bytes()), f"ranks-{early}_local_part_0"
    if early:
        assert (await server.tell(req_id, server.port, 2)).status == 200
        assert (await server.tell(req_id, port, 2)).status == 200
        assert (await server.encode([item], req_id=req_id, embedding_port=None)).status == 200
    else:
        asked = asyncio.ensure_future(server.encode([item], req_id=req_id, embedding_port=None))
        assert (await server.tell(req_id, server.port, 2)).status == 200
        assert (await server.tell(req_id, server.port, 2)).status == 200  # once more: the same rank
        assert await server.nothing_more()
        assert not asked.done()
        assert (await server.tell(req_id, port, 2)).status == 200
        assert (await asked).status == 200
    first, second = await server.receive(), await server.receive(other)
    assert torch.equal(as_native(first.rows), as_native(second.rows))
    assert await server.nothing_more()


async def test_ranks_must_agree(server: LanguageServer) -> None:
    assert (await server.tell("agree_local_part_0", server.port, 2)).status == 200
    answer = await server.tell("agree_local_part_0", server.port, 3)
    assert answer.status == 400
    assert "they must agree" in answer.body["message"]


async def test_a_list_of_ports_gets_a_copy_each(server: LanguageServer, photos: Path) -> None:
    other, port = server.pull()
    item = encoded((photos / "coffee.png").read_bytes())
    answer = await server.encode([item], req_id="list_local_part_0", embedding_port=[server.port, port])
    assert answer.status == 200
    assert torch.equal(as_native((await server.receive()).rows), as_native((await server.receive(other)).rows))


async def test_a_host_name_is_looked_up(server: LanguageServer, photos: Path) -> None:
    item = encoded((photos / "coffee.png").read_bytes())
    part = await server.ask([item], req_id="named_local_part_0", prefill_host="localhost")
    assert part.rows is not None
    answer = await server.encode([item], req_id="unnamed_local_part_0", prefill_host="nowhere.invalid")
    assert answer.status == 502
    assert "SGLANG_HOST_IP" in answer.body["message"]


async def test_one_request_may_hold_more_than_admission_lets_in_at_a_time(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    flags = ("--sglang-http", "127.0.0.1:0", "--cpus", "2", "--max-pending-patches", "2048")
    encoder = start_encoder(qwen2_5_vl, *flags).wait_until_ready()
    items = [encoded(unique_jpeg(photos / "rocket.jpg", number)) for number in range(8)]
    async with language_server(sglang_url(encoder)) as server:
        assert len((await server.ask(items)).about.grid_dim) == 8
    assert encoder.metric("encoder_pending_items") == 0


async def test_base64_may_be_as_large_as_admission_says(
    start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path
) -> None:
    """Bytes that admission has counted are not counted once more while they are decoded."""
    photo = (photos / "astronaut.png").read_bytes()
    limit = str(len(photo) * 11 // 10)
    flags = ("--sglang-http", "127.0.0.1:0", "--cpus", "2", "--max-pending-bytes", limit)
    encoder = start_encoder(qwen2_5_vl, *flags).wait_until_ready()
    async with language_server(sglang_url(encoder)) as server:
        assert (await server.ask([encoded(photo)])).rows is not None


@pytest.fixture
async def audio_server(sglang_audio_encoder: EncoderProcess) -> AsyncIterator[LanguageServer]:
    async with language_server(sglang_url(sglang_audio_encoder)) as each:
        yield each


async def test_audio_tells_its_frames_and_has_sglangs_rows(audio_server: LanguageServer, speech: Path) -> None:
    names = ["Front_Center.wav", "Front_Left.wav", "Noise.wav"]
    items = [encoded((speech / name).read_bytes()) for name in names]
    about = (await audio_server.ask(items, "AUDIO")).about
    assert about.modality is Modality.AUDIO
    assert tuple(about.grid_dim.flatten().shape) == (3,)
    rows = [((frames - 1) // 2 + 1 - 2) // 2 + 1 for frames in about.grid_dim.tolist()]
    assert about.shape[0] == sum(rows)


async def test_of_long_audio_sglangs_first_thirty_seconds(
    audio_server: LanguageServer, sglang_audio_encoder: EncoderProcess
) -> None:
    clip = io.BytesIO()
    with wave.open(clip, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        noise = np.random.default_rng(1).integers(-9000, 9000, 16000 * 40, dtype=np.int16)
        file.writeframes(noise.tobytes())
    part = await audio_server.ask([encoded(clip.getvalue())], "AUDIO", req_id="long_local_part_0")
    assert part.about.grid_dim.tolist() == [3000]
    assert part.about.shape[0] == 750
    assert len(native(sglang_audio_encoder, ("audio", clip.getvalue()))) > 750
