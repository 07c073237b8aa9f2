"""The demo's `lost` counts what happened: it is not a word that is always printed."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

from scripts.demo_load import Tally, call
from scripts.demo_media import collect, mixed
from tests.conftest import EncoderProcess

from fleet_client import AsyncClient, Media, image


async def calls(endpoints: list[str], items: Iterator[tuple[Media, bool]], count: int, timeout: float) -> Tally:
    """What one caller counts who sends the first `count` items."""
    tally, stop = Tally(), asyncio.Event()

    def until_the_last() -> Iterator[tuple[Media, bool]]:
        for number, item in enumerate(items, start=1):
            if number == count:
                stop.set()
            yield item

    async with AsyncClient(endpoints, timeout=timeout) as client:
        await call(client, until_the_last(), tally, stop)
    return tally


async def test_what_nobody_answers_is_lost(photos: Path) -> None:
    photo = image(photos / "rocket.jpg")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        endpoint = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        tally = await calls([endpoint], itertools.repeat((photo, True)), 2, timeout=0.5)
    assert (tally.sent, tally.encoded, tally.refused, tally.lost) == (2, 0, 0, 2)
    assert sum(tally.problems.values()) == 2


async def test_what_is_answered_wrongly_is_lost(vision_encoder: EncoderProcess, photos: Path) -> None:
    """An embedding for garbage, a refusal of a photo: neither is the answer that was due."""
    photo, garbage = image(photos / "rocket.jpg"), image(b"no photo")
    pairs = iter([(photo, False), (garbage, True), (photo, True), (garbage, False)])
    tally = await calls([vision_encoder.endpoint], pairs, 4, timeout=60)
    assert (tally.sent, tally.encoded, tally.refused, tally.lost) == (4, 1, 1, 2)


async def test_the_mixed_load_has_no_other_losses(
    vision_encoder: EncoderProcess, audio_encoder: EncoderProcess, tmp_path: Path
) -> None:
    items = mixed(collect(tmp_path / "media"))
    tally = await calls([vision_encoder.endpoint, audio_encoder.endpoint], items, 40, timeout=60)
    assert tally.problems == {}
    assert (tally.sent, tally.lost) == (40, 0)
    assert tally.refused > 0
    assert all(tally.by[modality] > 0 for modality in ("image", "video", "audio"))


def test_nearly_all_items_differ(tmp_path: Path) -> None:
    items = [item for item, is_good in itertools.islice(mixed(collect(tmp_path / "media")), 200) if is_good]
    pictures = [item.source for item in items if item.modality == "image"]
    assert len(pictures) > 100
    assert len(set(pictures)) == len(pictures)
