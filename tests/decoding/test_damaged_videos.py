"""One broken frame: the video is refused, the line says where, and nothing goes to stderr."""

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from fleet_encoder.errors import Invalid
from fleet_encoder.families.base import Video
from fleet_encoder.media import video
from fleet_encoder.media.video import decode_video, probe_video
from fleet_encoder.workers import CpuWorkers

pytestmark = pytest.mark.usefixtures("every_decoder")

Film = Callable[[str], Path]
BACKENDS = {backend.name: backend for backend in video.BACKENDS}


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


def with_broken_frame(path: Path, number: int) -> bytes:
    """The file with every byte of one frame set to 255; counted in the order in which frames are shown."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = sorted((packet for packet in container.demux(video=0) if packet.size), key=lambda each: each.pts)
        at, size = data.find(bytes(packets[number])), packets[number].size
    data[at : at + size] = b"\xff" * size
    return bytes(data)


async def decode(data: bytes, indices: list[int], workers: CpuWorkers, decoders: int, *libraries: str) -> Video:
    return await decode_video(
        data,
        probe_video(data),
        indices,
        workers=workers,
        decoders=decoders,
        ffmpeg_threads=1,
        pin=False,
        libraries=tuple(BACKENDS[name] for name in libraries) or None,
    )


@pytest.mark.parametrize("libraries", [("torchcodec",), ("pyav",), ()])
@pytest.mark.parametrize("decoders", [1, 4])
async def test_a_broken_frame_that_is_wanted(
    libraries: tuple[str, ...], decoders: int, film: Film, workers: CpuWorkers
) -> None:
    data = with_broken_frame(film("h264_intra.mp4"), 30)
    with pytest.raises(Invalid, match=r"frame 30 of 75, at 1.20 s.*send the whole file") as caught:
        await decode(data, list(range(0, 75, 5)), workers, decoders, *libraries)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("library", BACKENDS)
async def test_a_broken_frame_that_nothing_depends_on_is_no_harm(library: str, film: Film, workers: CpuWorkers) -> None:
    """Another part of the video is wanted, and decoders seek to it."""
    whole = film("h264_intra.mp4").read_bytes()
    data = with_broken_frame(film("h264_intra.mp4"), 30)
    expected = (await decode(whole, [0, 60], workers, 1, library)).frames
    assert torch.equal((await decode(data, [0, 60], workers, 1, library)).frames, expected)


@pytest.mark.parametrize("name", ["vp9.webm", "hevc.mp4", "av1.mp4", "mpeg4.mp4"])
async def test_a_broken_keyframe_in_other_codecs(name: str, film: Film, workers: CpuWorkers) -> None:
    data = with_broken_frame(film(name), 0)
    with pytest.raises(Invalid, match=r"frame \d+ of \d+, at \d+\.\d\d s"):
        await decode(data, [0, 1, 2, 3], workers, 1)


async def test_a_hole_in_the_file(film: Film, workers: CpuWorkers) -> None:
    data = bytearray(film("h264.mp4").read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    with pytest.raises(Invalid, match=r"frame \d+ of 75"):
        await decode(bytes(data), list(range(75)), workers, 2)


async def test_where_torchcodec_gives_up_pyav_is_asked(film: Film, workers: CpuWorkers) -> None:
    """Of a transport stream torchcodec's exact mode decodes nothing."""
    assert (await decode(film("h264.ts").read_bytes(), [0, 1, 2], workers, 1)).decoder == "pyav"


async def test_frames_of_two_sizes_are_refused(film: Film, workers: CpuWorkers, tmp_path: Path, ffmpeg: object) -> None:
    small, large, both = tmp_path / "small.ts", film("h264.ts"), tmp_path / "both.ts"
    ffmpeg("-i", large, "-vf", "scale=96:54", "-c:v", "libx264", "-output_ts_offset", "3", small)  # type: ignore[operator]
    both.write_bytes(large.read_bytes() + small.read_bytes())
    data = both.read_bytes()
    frames = probe_video(data).frames
    assert frames > 100
    with pytest.raises(Invalid, match="size"):
        await decode(data, list(range(frames)), workers, 1)


async def test_random_bytes_in_a_stream_give_frames_or_a_refusal(film: Film, workers: CpuWorkers) -> None:
    random = np.random.default_rng(5)
    for name in ("h264.mp4", "vp9.webm", "hevc.mp4"):
        whole = film(name).read_bytes()
        for _ in range(12):
            data = bytearray(whole)
            for at in random.integers(0, len(data), 6):
                data[at] = random.integers(0, 256)
            try:
                ours = await decode(bytes(data), [0, 20, 40], workers, 2)
            except Invalid as error:
                assert "\n" not in str(error)  # noqa: PT017
            except ValueError:
                assert probe_video(bytes(data)).frames <= 40
            else:
                assert ours.frames.shape[0] == 3


@pytest.mark.parametrize(("found", "broken"), [(b"minf", b"min'"), (b"avc1", b"\xfevc1"), (b"avcC", b"avc\xff")])
async def test_a_header_that_hides_the_codec(found: bytes, broken: bytes, film: Film, workers: CpuWorkers) -> None:
    before, after = film("h264.mp4").read_bytes().rsplit(found, 1)
    data = before + broken + after
    with pytest.raises(Invalid):
        await decode(data, [0, 20], workers, 1)
