"""`make bench-pipeline`: the encoder against today's way, on this machine, in one run.

The two systems run in turn (today, ours, today, ours, ...), each started afresh, alone, with the same model directory,
media and load. JSON lines on stdout: one for each scenario, system and round, then medians, the floor, and ratios last.
Everything stays on loopback. `docs/performance.md` says how to read it.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench import machine, scenarios, systems
from bench.media import LARGE_PHOTOS, SMALL_PHOTOS, videos, write_photos
from bench.report import WIDTH, conclude, emit
from bench.slow_site import SlowSite
from bench.systems import BenchError, free_endpoint, running

FAMILY = "qwen2_5_vl"
STALL_SECONDS = 2.5
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One model with the media, scenarios and rounds that it is run with."""

    tower: str
    model: Path
    plan: dict[str, str]
    photos: list[Path]
    names: tuple[str, ...]
    rounds: int
    seconds: float
    patience: float


def say(*command: str) -> str:
    """Run one of our programs; its stdout.

    Raises:
        BenchError: It failed; with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def planned_environment(model: Path) -> dict[str, str]:
    """What `encoderfleet plan` sets on this machine for a pool with that model and defaults for the rest."""
    pool = model.with_suffix(".yaml")
    pool.write_text(POOL.format(model=model))
    plan = json.loads(say(COMMAND, "plan", str(pool), "-o", "json"))
    return {each["name"]: each["value"] for each in plan["env"]}


def settings(directory: Path, rounds: int, seconds: float, patience: float) -> list[Setting]:
    """The light tower through all scenarios, and the small one of `encoderfleet model new` for throughput."""
    light, small = directory / "light", directory / "small"
    say(sys.executable, "-m", "bench.light_model", str(light))
    say(COMMAND, "model", "new", "--family", FAMILY, str(small))
    photos = write_photos(directory)
    few = photos[: len(SMALL_PHOTOS)]
    return [
        Setting(
            "light", light, planned_environment(light), photos, tuple(scenarios.SCENARIOS), rounds, seconds, patience
        ),
        # A batch of this one takes over a second: more time, so that a batch more or less is no matter.
        Setting("small", small, planned_environment(small), few, ("throughput",), 1, 3 * seconds, patience),
    ]


def run_setting(setting: Setting, directory: Path, console: Console) -> Rounds:
    """Both systems in turn, round by round."""
    measured: Rounds = {"today": {}, "ours": {}}
    with SlowSite(setting.photos[0], STALL_SECONDS) as site:
        for number in range(1, setting.rounds + 1):
            for name in measured:
                console.print(f"{setting.tower} tower, round {number} of {setting.rounds}: {name}", highlight=False)
                machine.wait_until_quiet(setting.patience)
                endpoint = free_endpoint()
                today = name == "today"
                system = systems.today(setting.model, endpoint) if today else systems.ours(setting.plan, endpoint)
                with running(system, endpoint, directory / f"{name}.log") as ready:
                    rig = scenarios.Rig(ready, setting.photos, videos(), site.url, setting.seconds)
                    scenarios.warm_up(rig)
                    for scenario in setting.names:
                        numbers = scenarios.SCENARIOS[scenario](rig)
                        emit(tower=setting.tower, scenario=scenario, system=name, round=number, **numbers)
                        measured[name].setdefault(scenario, []).append(numbers)
    return measured


def floor(setting: Setting) -> dict[str, float]:
    """Decode and tower alone, on the setting's photos."""
    answer = say(sys.executable, "-m", "bench.floor", *map(str, setting.photos), "--model", str(setting.model))
    measured: dict[str, float] = json.loads(answer)
    return measured


def run(directory: Path, rounds: int, seconds: float, patience: float, console: Console) -> None:
    """The whole benchmark, in a scratch directory."""
    here = machine.describe()
    emit(machine=here, rounds=rounds, seconds=seconds, photos=[*SMALL_PHOTOS, *LARGE_PHOTOS])
    if here["cpus_busy_before"] > machine.QUIET_CPUS:
        console.print(f"[yellow]{here['cpus_busy_before']} CPUs are busy with other work: such rounds are left out[/]")
    for setting in settings(directory, rounds, seconds, patience):
        measured = run_setting(setting, directory, console)
        conclude(setting.tower, measured, floor(setting), console)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each system runs")
    parser.add_argument("--seconds", type=float, default=5.0, help="of measurement, in a scenario")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait for quiet CPUs before each system")
    parser.add_argument("--quick", action="store_true", help="one short round: a smoke test, not a measurement")
    arguments = parser.parse_args()
    rounds, seconds = (1, 1.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    with TemporaryDirectory(prefix="bench-pipeline-") as scratch:
        try:
            run(Path(scratch), rounds, seconds, arguments.patience, Console(stderr=True, width=WIDTH))
        except BenchError as error:
            sys.exit(f"bench-pipeline: {error}")


if __name__ == "__main__":
    main()
