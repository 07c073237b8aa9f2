"""`make bench-pipeline`: the encoder against today's way, on this machine, in one run.

The two systems run in turn (today, ours, today, ours, ...), each started afresh, alone, with the same model directory,
media and load. JSON lines on stdout: one for each scenario, system and round, then medians, the floor, and ratios last.
Everything stays on loopback. See `docs/performance.md` for how to read it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from rich.console import Console

from bench import scenarios, systems
from bench.machine import describe
from bench.media import videos, write_photos
from bench.report import emit, show
from bench.slow_site import SlowSite
from bench.stats import medians, targets
from bench.systems import BenchError, System, free_endpoint, running

FAMILY = "qwen2_5_vl"
STALL_SECONDS = 2.5
QUIET_CPUS = 0.1
COMMAND = str(Path(sys.executable).parent / "encoderfleet")

POOL = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata:
  name: bench
spec:
  model:
    path: {model}
  modalities: [image, video]
  replicas: 1
  media:
    allowPrivateNetworks: true
"""

Rounds = dict[str, dict[str, list[dict[str, float]]]]


def say(*command: str) -> str:
    """Run a command of ours; its stdout.

    Raises:
        BenchError: It failed; with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def planned_environment(pool: Path) -> dict[str, str]:
    """What `encoderfleet plan` sets for the pool on this machine."""
    plan = json.loads(say(COMMAND, "plan", str(pool), "-o", "json"))
    return {each["name"]: each["value"] for each in plan["env"]}


def run_round(
    system: System, endpoint: str, rig_of: Callable[[systems.Running], scenarios.Rig], log: Path
) -> dict[str, dict[str, float]]:
    """Start a system, run every scenario on it, end it."""
    with running(system, endpoint, log) as ready:
        rig = rig_of(ready)
        scenarios.warm_up(rig)
        return {name: scenario(rig) for name, scenario in scenarios.SCENARIOS.items()}


def run(directory: Path, rounds: int, seconds: float, console: Console) -> None:
    """The whole benchmark, in a scratch directory."""
    machine = describe()
    emit(machine=machine, rounds=rounds, seconds=seconds)
    if float(machine["cpus_busy_before"]) > QUIET_CPUS:
        console.print(
            f"[yellow]{machine['cpus_busy_before']} CPUs are busy already: these figures are not worth much[/]"
        )
    model, pool = directory / "model", directory / "pool.yaml"
    say(COMMAND, "model", "new", "--family", FAMILY, str(model))
    pool.write_text(POOL.format(model=model))
    plan = planned_environment(pool)
    photos = write_photos(directory)
    measured: Rounds = {"today": {}, "ours": {}}
    with SlowSite(photos[0], STALL_SECONDS) as site:
        rig_of = partial(scenarios.Rig, photos=photos, videos=videos(), slow_url=site.url, seconds=seconds)
        for number in range(1, rounds + 1):
            for name in measured:
                console.print(f"round {number} of {rounds}: {name}")
                endpoint = free_endpoint()
                system = systems.today(model, endpoint) if name == "today" else systems.ours(plan, endpoint)
                for scenario, numbers in run_round(system, endpoint, rig_of, directory / f"{name}.log").items():
                    emit(scenario=scenario, system=name, round=number, **numbers)
                    measured[name].setdefault(scenario, []).append(numbers)
    floor = json.loads(
        say(sys.executable, "-m", "bench.floor", *map(str, photos), "--model", str(model), "--family", FAMILY)
    )
    conclude(measured, floor, console)


def conclude(measured: Rounds, floor: dict[str, float], console: Console) -> None:
    """Medians, floor and ratios."""
    middle = {
        system: {scenario: medians(rounds) for scenario, rounds in each.items()} for system, each in measured.items()
    }
    for system, by_scenario in middle.items():
        for scenario, numbers in by_scenario.items():
            emit(scenario=scenario, system=system, median=True, **numbers)
    emit(floor=floor)
    today, ours = middle["today"], middle["ours"]
    reached = targets(today, ours)
    show(console, today, ours, floor, reached)
    for name in ours:
        emit(ratio=f"{name}: p99, today / ours", value=today[name]["p99_ms"] / ours[name]["p99_ms"])
    emit(ratio="throughput: ours / floor", value=ours["throughput"]["per_second"] / floor["per_second"])
    for each in reached:
        emit(ratio=each.name, value=each.value, unit=each.unit, bound=each.bound, limit=each.limit, met=each.met)


def main() -> None:
    parser = argparse.ArgumentParser(description=dedent(__doc__), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each system runs")
    parser.add_argument("--seconds", type=float, default=6.0, help="of measurement, in each scenario")
    parser.add_argument("--quick", action="store_true", help="one short round: a smoke test, not a measurement")
    arguments = parser.parse_args()
    rounds, seconds = (1, 1.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    with TemporaryDirectory(prefix="bench-pipeline-") as scratch:
        try:
            run(Path(scratch), rounds, seconds, Console(stderr=True))
        except BenchError as error:
            sys.exit(f"bench-pipeline: {error}")


if __name__ == "__main__":
    main()
