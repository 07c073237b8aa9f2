"""The baseline is a fair peer: it computes the same embeddings, over the same wire."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
import zmq
from bench import light_model
from bench.baselines.work import Model, decode_frames, load_picture
from bench.media import videos, write_photos
from bench.systems import free_endpoint, running, today
from PIL import Image as Picture

from fleet_client.protocol import Encode, Item, Result, Status, pack, unpack_from_server
from fleet_encoder.families import family_for
from fleet_encoder.families.base import Image, ImageInfo
from fleet_encoder.families.passes import run_all


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    light_model.create(directory)
    return directory


def test_its_embeddings_are_ours(model: Path, tmp_path: Path) -> None:
    family = family_for(model)(model)
    tower, _ = family.load(model, torch.device("cpu"), torch.float32)
    baseline = Model(model)
    for path in write_photos(tmp_path):
        data = path.read_bytes()
        theirs = baseline.forward(
            "image", baseline.prepare_images([load_picture(Item(modality="image", frame=0), [data])])
        )
        pixels = simplejpeg.decode_jpeg(data)
        photo = Image(pixels, ImageInfo(pixels.shape[1], pixels.shape[0], "JPEG"))
        with torch.inference_mode():
            rows = run_all(family.encode(tower, [family.preprocess(photo, torch.device("cpu"))]))
        assert (rows[0] - theirs[0]).norm() / theirs[0].norm() < 1e-4


def test_its_parallel_decoders_give_the_frames_of_one() -> None:
    data = videos()[1].read_bytes()
    indices = [0, 7, 50, 51, 130, 249]
    frames = decode_frames(data, indices)
    assert frames.shape == (6, 272, 640, 3)
    for number, index in enumerate(indices):
        assert torch.equal(frames[number], decode_frames(data, [index])[0])


def test_it_serves_the_wire_and_the_load_generator_counts(model: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    endpoint = free_endpoint()
    with running(today(model, endpoint), endpoint, tmp_path / "log") as ready:
        assert ready.welcome.dim == Model(model).dim
        done = _load(endpoint, "media", *map(str, photos), "--concurrency", "4", "--seconds", "2")
        assert (done["failed"], done["failures"]) == (0, [])
        assert len(done["latencies_ms"]) > 4
        assert set(done["stages"][0]) == {"load", "preprocess", "forward"}
        pinged = _load(endpoint, "pings", "--seconds", "0.5")
        assert pinged["failed"] == 0
        assert 10 < len(pinged["latencies_ms"]) <= 51
        _check_one_answer(endpoint, photos[0])
        _check_a_bad_image(endpoint)


def _load(endpoint: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", *arguments, "--endpoint", endpoint],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    started, numbers = done.stdout.splitlines()
    assert started == "started"
    measured: dict[str, Any] = json.loads(numbers)
    return measured


def _ask(endpoint: str, data: bytes) -> tuple[Result, list[bytes]]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(endpoint)
    socket.send_multipart([pack(Encode(id="one", items=[Item(modality="image", frame=0)])), data])
    assert socket.poll(30_000)
    header, *frames = socket.recv_multipart()
    socket.close(linger=0)
    answer = unpack_from_server(header)
    assert isinstance(answer, Result)
    return answer, frames


def _check_one_answer(endpoint: str, photo: Path) -> None:
    answer, frames = _ask(endpoint, photo.read_bytes())
    assert answer.status is Status.OK
    assert answer.tensor is not None
    assert answer.meta is not None
    rows = np.frombuffer(frames[answer.tensor.frame], np.float32).reshape(answer.tensor.shape)
    assert rows.shape[0] == answer.meta.tokens
    assert np.isfinite(rows).all()
    with Picture.open(photo) as picture:
        assert answer.meta.original_size == picture.size


def _check_a_bad_image(endpoint: str) -> None:
    answer, frames = _ask(endpoint, b"not an image")
    assert answer.status is Status.INVALID
    assert answer.message
    assert not frames
