"""`make bench-sglang`: our encoder against SGLang's own, on this machine, in one run.

Same tiny Qwen2.5-VL, same load in the manner of a language server (`sglang_load`). SGLang's encoder runs as it is best
on a CPU, with SGLANG_ENCODER_MAX_BATCH_SIZE=1, and as by default, where its attention on CPUs costs the square of a
batch; on GPUs it does not, so a ratio of batched throughput here says nothing of GPUs. Each system is started afresh
in each round, alone. JSON lines on stdout, a table at the end. `docs/performance.md` says how to read it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from tests.cluster import ports
from tests.interop import install, model, sglang_process

from bench import machine, sglang_faults, systems
from bench.media import videos, write_photos
from bench.pipeline import planned_environment
from bench.report import WIDTH, emit, verdict
from bench.slow_site import SlowSite
from bench.stats import Target, medians, percentile, undisturbed
from bench.systems import BenchError

STALL_SECONDS = 2.5
FAULT_SECONDS = 45.0
"""Of load after an encoder has gone: a language server finds that out by itself within 30."""

PHOTOS = ("rocket.jpg",)
SYSTEMS = ("ours", "sglang, batch 1", "sglang")


@dataclass(frozen=True, slots=True)
class Rig:
    """A ready encoder and what it is loaded with."""

    url: str
    pid: int
    photos: list[Path]
    clip: Path
    slow_url: str
    seconds: float
    count: int


def load(rig: Rig, *sources: object, **options: object) -> "subprocess.Popen[str]":
    """Start a load; it ends by itself, or when its stdin is closed."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.sglang_load", *map(str, sources), "--url", rig.url, *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process: "subprocess.Popen[str]") -> dict[str, float]:
    """Rate and spread.

    Raises:
        BenchError: Requests failed.
    """
    answer, _ = process.communicate()
    done = json.loads(answer)
    if done["failed"] or not done["latencies_ms"]:
        raise BenchError(f"{done['failed']} requests failed: {done['failures']}")
    latencies = done["latencies_ms"]
    return {
        "count": len(latencies),
        "per_second": len(latencies) / done["seconds"],
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
    }


@contextmanager
def beside(rig: Rig, source: object) -> Iterator[None]:
    """All the while one request after the other for `source`."""
    process = load(rig, source)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        process.communicate()


def throughput(rig: Rig) -> dict[str, float]:
    """Images, 16 at a time."""
    return result(load(rig, *rig.photos, concurrency=16, count=rig.count))


def alone(rig: Rig) -> dict[str, float]:
    """Images, 2 at a time."""
    return result(load(rig, *rig.photos, concurrency=2, seconds=rig.seconds))


def beside_slow_url(rig: Rig) -> dict[str, float]:
    """The same while an image's host takes its time."""
    with beside(rig, rig.slow_url):
        return alone(rig)


def beside_clip(rig: Rig) -> dict[str, float]:
    """The same while clips of ten seconds are encoded, one after the other."""
    with beside(rig, rig.clip):
        return alone(rig)


SCENARIOS: dict[str, Callable[[Rig], dict[str, float]]] = {
    "throughput": throughput,
    "alone": alone,
    "beside_slow_url": beside_slow_url,
    "beside_clip": beside_clip,
}
TITLES = {
    "throughput": "images, 16 at a time",
    "alone": "images, 2 at a time",
    "beside_slow_url": "... beside a slow URL",
    "beside_clip": "... beside 10 s clips",
}


@contextmanager
def started(
    name: str, python: Path, directory: Path, checkpoint: Path, plan: dict[str, str]
) -> Iterator[tuple[str, int]]:
    """One of the systems; its URL and process."""
    if name == "ours":
        (port,) = ports.free(1)
        endpoint = systems.free_endpoint()
        wire = {"ENCODERFLEET_SGLANG_HTTP": f"127.0.0.1:{port}", "ENCODERFLEET_DTYPE": "bfloat16"}
        with systems.running(systems.ours({**plan, **wire}, endpoint), endpoint, directory / "ours.log") as ready:
            yield f"http://127.0.0.1:{port}", ready.pid
        return
    environment = {"SGLANG_ENCODER_MAX_BATCH_SIZE": "1"} if name.endswith("1") else {}
    with sglang_process.Encoder(python, checkpoint, directory, **environment) as server:
        yield server.url, server.pid


def measure(rig: Rig, scenario: str) -> dict[str, float]:
    """One scenario, and who used the CPUs meanwhile."""
    before = machine.cpu_times(rig.pid)
    numbers = SCENARIOS[scenario](rig)
    return {**numbers, **machine.usage(before, machine.cpu_times(rig.pid))}


Rounds = dict[str, dict[str, list[dict[str, float]]]]


def run(directory: Path, rounds: int, seconds: float, count: int, console: Console) -> None:
    """The whole benchmark, in a scratch directory."""
    python = install.ensure(console.print)
    checkpoint = model.create(directory / "model")
    plan = planned_environment(checkpoint)
    photos = write_photos(directory, PHOTOS)
    emit(machine=machine.describe(), rounds=rounds, seconds=seconds, photos=PHOTOS)
    measured: Rounds = {name: {} for name in SYSTEMS}
    with SlowSite(photos[0], STALL_SECONDS) as site:
        for number in range(1, rounds + 1):
            for name in SYSTEMS:
                console.print(f"round {number} of {rounds}: {name}", highlight=False)
                with started(name, python, directory, checkpoint, plan) as (url, pid):
                    few = count // 4 if name == "sglang" else count
                    rig = Rig(url, pid, photos, videos()[1], site.url, seconds, few)
                    result(load(rig, *photos, count=4))  # first requests warm it up
                    # By default it takes half a minute a batch: its other figures would say no more.
                    for scenario in ["throughput"] if name == "sglang" else SCENARIOS:
                        numbers = measure(rig, scenario)
                        emit(scenario=scenario, system=name, round=number, **numbers)
                        measured[name].setdefault(scenario, []).append(numbers)
    conclude(measured, console)
    faults(python, checkpoint, directory, photos, console)


def faults(python: Path, checkpoint: Path, directory: Path, photos: list[Path], console: Console) -> None:
    """What users lose where an encoder goes, with ours and with SGLang's."""
    console.print("a language server with two encoders, of which one goes", highlight=False)
    with sglang_process.LanguageServer(python, checkpoint, directory, []) as server:
        for name in ("ours", "sglang"):
            for fault, number in sglang_faults.FAULTS.items():
                pair = (
                    sglang_faults.our_pool(server, checkpoint, directory)
                    if name == "ours"
                    else sglang_faults.their_encoders(server, checkpoint, directory, python)
                )
                with pair as pid:
                    numbers = sglang_faults.lost(server, pid, number, photos, FAULT_SECONDS)
                emit(fault=fault, system=name, **numbers)
                console.print(
                    f"{name}, {fault}: {numbers['lost']} of {numbers['chats']} chats lost, the last one after "
                    f"{numbers['until_seconds']:.1f} s",
                    highlight=False,
                )


def conclude(measured: Rounds, console: Console) -> None:
    """Medians, ratios, and what was to be reached."""
    middle = {
        name: {scenario: medians(undisturbed(rounds, machine.QUIET_CPUS)) for scenario, rounds in each.items()}
        for name, each in measured.items()
    }
    made = Table(title="medians over the rounds: requests/s, p50 and p99 in ms", title_justify="left", box=SIMPLE)
    made.add_column("scenario", no_wrap=True)
    for name in SYSTEMS:
        made.add_column(name, justify="right", no_wrap=True)
    for scenario, title in TITLES.items():
        rows = [middle[name].get(scenario) for name in SYSTEMS]
        made.add_row(title, *(each and "{per_second:.1f} {p50_ms:6.0f} {p99_ms:6.0f}".format(**each) for each in rows))
    console.print(made)
    for name, each in middle.items():
        for scenario, numbers in each.items():
            emit(scenario=scenario, system=name, median=True, **numbers)
    mine, best = (
        middle["ours"],
        max(each["throughput"]["per_second"] for name, each in middle.items() if name != "ours"),
    )
    wait = {
        name: each["beside_slow_url"]["p99_ms"] / each["alone"]["p99_ms"]
        for name, each in middle.items()
        if "alone" in each
    }
    emit(
        ratio="p99 beside a slow URL / alone",
        **{name.replace(", ", "_").replace(" ", "_"): value for name, value in wait.items()},
    )
    verdict(
        "tiny",
        [
            Target(
                "throughput against SGLang's best setting", mine["throughput"]["per_second"] / best, "least", 5.0, "x"
            ),
            Target("image p99 beside a slow URL against alone", wait["ours"], "most", 1.3, "x"),
        ],
        console,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each system runs")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measurement, in a scenario")
    parser.add_argument(
        "--count", type=int, default=100, help="requests for throughput; a quarter for SGLang's default"
    )
    parser.add_argument("--quick", action="store_true", help="one short round: a smoke test, not a measurement")
    arguments = parser.parse_args()
    rounds, seconds, count = (1, 8.0, 32) if arguments.quick else (arguments.rounds, arguments.seconds, arguments.count)
    with TemporaryDirectory(prefix="bench-sglang-") as scratch:
        try:
            run(Path(scratch), rounds, seconds, count, Console(stderr=True, width=WIDTH))
        except (BenchError, sglang_process.ServerError) as error:
            sys.exit(f"bench-sglang: {error}")


if __name__ == "__main__":
    main()
