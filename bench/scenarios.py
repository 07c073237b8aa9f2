"""What is measured on one running system. Each scenario returns plain numbers, milliseconds and rates."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.machine import cpu_times, process_seconds, usage
from bench.stats import summarise
from bench.systems import BenchError, Running

FULL_CONCURRENCY = 16
LIGHT_CONCURRENCY = 4
VIDEO_CONCURRENCY = 2
SLOW_DOWNLOADS = 8
RAMP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rig:
    """What the scenarios need: the system, the media, where the slow site is, and for how many seconds to measure."""

    system: Running
    photos: list[Path]
    videos: list[Path]
    slow_url: str
    seconds: float


def warm_up(rig: Rig) -> None:
    """Every kind of request once or more, unmeasured: first calls allocate and compile."""
    _finish(_start(rig, _images(rig, FULL_CONCURRENCY, seconds=1.0, ramp=0.0)))
    _finish(_start(rig, ["media", *map(str, rig.videos), "--seconds", "0.5", "--concurrency", str(len(rig.videos))]))


def throughput(rig: Rig) -> dict[str, float]:
    """Images a second with 16 requests outstanding."""
    return _measure(rig, _images(rig, FULL_CONCURRENCY, seconds=rig.seconds * 1.3))


def lag_beside_videos(rig: Rig) -> dict[str, float]:
    """How long the event loop lets a small message wait while two videos at a time are served."""
    pings = ["pings", "--seconds", str(rig.seconds * 0.7)]
    with _beside(rig, _videos(rig)) as (pid, extra):
        measured = _measure(rig, pings, beside=pid)
    return measured | _video_numbers(extra)


def images_alone(rig: Rig) -> dict[str, float]:
    """Images with 4 requests outstanding."""
    return _measure(rig, _images(rig, LIGHT_CONCURRENCY, seconds=rig.seconds))


def images_beside_slow_url(rig: Rig) -> dict[str, float]:
    """The same, while one request at a time waits for a slow download."""
    with _beside(rig, ["urls", rig.slow_url]) as (pid, _):
        return _measure(rig, _images(rig, LIGHT_CONCURRENCY, seconds=rig.seconds), beside=pid)


def images_beside_slow_site(rig: Rig) -> dict[str, float]:
    """The same, while eight requests at a time wait for slow downloads."""
    with _beside(rig, ["urls", rig.slow_url, "--concurrency", str(SLOW_DOWNLOADS)]) as (pid, _):
        return _measure(rig, _images(rig, LIGHT_CONCURRENCY, seconds=rig.seconds * 0.7), beside=pid)


def images_beside_video(rig: Rig) -> dict[str, float]:
    """The same, while one video at a time is served."""
    with _beside(rig, ["media", *map(str, rig.videos)]) as (pid, extra):
        measured = _measure(rig, _images(rig, LIGHT_CONCURRENCY, seconds=rig.seconds), beside=pid)
    return measured | _video_numbers(extra)


SCENARIOS: dict[str, Callable[[Rig], dict[str, float]]] = {
    each.__name__: each
    for each in (
        throughput,
        lag_beside_videos,
        images_alone,
        images_beside_slow_url,
        images_beside_slow_site,
        images_beside_video,
    )
}


def _video_numbers(extra: dict[str, float]) -> dict[str, float]:
    return {"videos_per_second": extra["per_second"], "video_p50_ms": extra["p50_ms"]} if extra else {}


def _images(rig: Rig, concurrency: int, *, seconds: float, ramp: float = RAMP_SECONDS) -> list[str]:
    options = ["--concurrency", str(concurrency), "--seconds", str(seconds + ramp), "--ramp", str(ramp)]
    return ["media", *map(str, rig.photos), *options]


def _videos(rig: Rig) -> list[str]:
    return ["media", *map(str, rig.videos), "--concurrency", str(VIDEO_CONCURRENCY)]


def _start(rig: Rig, arguments: list[str]) -> "subprocess.Popen[str]":
    """A load process whose first message is out."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load", *arguments, "--endpoint", rig.system.endpoint],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != "started":
        process.wait()
        raise BenchError(f"the load generator did not start: {arguments}")
    return process


def _finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a load process measured; closes its stdin, which ends one without a time limit.

    Raises:
        BenchError: It failed, or a request did: a rate of failures is no rate.
    """
    answer, _ = process.communicate()
    if process.returncode != 0:
        raise BenchError(f"the load generator ended with code {process.returncode}")
    done: dict[str, Any] = json.loads(answer)
    if done["failed"]:
        raise BenchError(f"{done['failed']} requests failed: {'; '.join(done['failures']) or 'no answer'}")
    return done


def _measure(rig: Rig, arguments: list[str], beside: int | None = None) -> dict[str, float]:
    """Run a load process to its end; what it measured, the stages' means, and who used the CPUs meanwhile."""
    process = _start(rig, arguments)
    # The load's own start is not part of the time measured.
    earlier = process_seconds(process.pid) + (process_seconds(beside) if beside else 0.0)
    before = cpu_times(rig.system.pid)
    done = _finish(process)
    after = cpu_times(rig.system.pid)
    still_running = process_seconds(beside) if beside else 0.0
    numbers = summarise(done["latencies_ms"], done["counted"], done["seconds"]) | usage(
        before, after, still_running - earlier
    )
    stages = [each for each in done.get("stages", []) if each]
    for name in dict.fromkeys(name for each in stages for name in each):
        numbers[f"stage_{name}_ms"] = fmean(each[name] for each in stages if name in each)
    return numbers


@contextmanager
def _beside(rig: Rig, arguments: list[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """Another load while the block runs: its process id, and, after the block, what it measured."""
    process = _start(rig, [*arguments, "--seconds", "0"])
    measured: dict[str, float] = {}
    try:
        yield process.pid, measured
    finally:
        done = _finish(process)
        if done["latencies_ms"]:
            measured.update(summarise(done["latencies_ms"], done["counted"], done["seconds"]))
