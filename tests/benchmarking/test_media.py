from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.media import uniquely, videos, write_photos
from PIL import Image
from torchcodec.decoders import VideoDecoder


def test_every_request_carries_other_bytes_and_the_same_picture(tmp_path: Path) -> None:
    for path in write_photos(tmp_path):
        make = uniquely(path)
        first, second = make(1), make(2)
        assert len({first, second, path.read_bytes()}) == 3
        pictures = [np.asarray(Image.open(BytesIO(data))) for data in (first, second, path.read_bytes())]
        assert np.array_equal(pictures[0], pictures[1])
        assert np.array_equal(pictures[0], pictures[2])


def test_every_request_carries_other_bytes_and_the_same_video() -> None:
    path = videos()[1]
    make = uniquely(path)
    assert make(1) != make(2)
    frames = [VideoDecoder(data).get_frames_at([0, 100, 249]).data for data in (make(1), make(2), path.read_bytes())]
    assert torch.equal(frames[0], frames[1])
    assert torch.equal(frames[0], frames[2])


def test_other_files_are_refused(tmp_path: Path) -> None:
    png = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(png)
    with pytest.raises(ValueError, match="not a JPEG"):
        uniquely(png)(1)
