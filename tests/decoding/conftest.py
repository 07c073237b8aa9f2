"""Clips made by FFmpeg, and threads to decode them in."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from decoding.films import FILMS, PICTURE, REWRITTEN
from fleet_encoder.media import chunks
from fleet_encoder.slots import CpuSlots
from fleet_encoder.workers import CpuWorkers


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run the command line tool, silent unless it fails."""

    def run(*arguments: str | Path) -> None:
        subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Callable[[str], Path]:
    """A clip by its name in `films.py`, made on first use."""
    folder = tmp_path_factory.mktemp("films")

    def path(name: str) -> Path:
        target = folder / name
        if target.exists():
            return target
        if name in REWRITTEN:
            ffmpeg(*REWRITTEN[name].format(path("h264.mp4")).split(), target)
            return target
        inputs, options = ["-f", "lavfi", "-i", PICTURE], FILMS[name].split()
        if "-i" in options:
            at = options.index("-i")
            inputs += options[at : at + 2]
            del options[at : at + 2]
        filters = [] if "-vf" in options else ["-vf", "null"]
        ffmpeg(*inputs, *filters, *options, "-threads", "2", target)
        return target

    return path


@pytest.fixture
def workers() -> Iterator[CpuWorkers]:
    """More threads than slots, as on a small machine."""
    pool = CpuWorkers("decode", 8, CpuSlots(4))
    yield pool
    pool.close()


@pytest.fixture
def every_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many decoders as are asked for: these clips are so short that one would do them alone."""
    monkeypatch.setattr(chunks, "COST_WORTH_A_DECODER", 1)
