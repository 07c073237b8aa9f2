"""What a run prints: JSON lines on stdout for machines, tables on stderr for people."""

import json
from collections.abc import Mapping

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.stats import Target, medians, targets, undisturbed

TITLES = {
    "throughput": ("images, 16 at a time", "per_second"),
    "lag_beside_videos": ("event loop beside 2 videos", "videos_per_second"),
    "images_alone": ("images, 4 at a time", "per_second"),
    "images_beside_slow_url": ("... beside a slow URL", "per_second"),
    "images_beside_slow_site": ("... beside 8 slow URLs", "per_second"),
    "images_beside_video": ("... beside a video", "per_second"),
}
"""Scenario -> its title, and which rate is shown."""

WIDTH = 100

Medians = Mapping[str, Mapping[str, float]]
Rounds = Mapping[str, Mapping[str, list[dict[str, float]]]]


def emit(**fields: object) -> None:
    """One JSON line; numbers are rounded to what was measured."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in fields.items()}
    print(json.dumps(rounded), flush=True)


def table(title: str, today: Medians, ours: Medians) -> Table:
    """Both systems side by side, a row a scenario."""
    made = Table(title=title, title_justify="left", caption="rate: a second; p50, p99: milliseconds", box=SIMPLE)
    made.add_column("scenario", no_wrap=True)
    for name in ("today\nrate", "\np50", "\np99", "ours\nrate", "\np50", "\np99", "p99\ntoday/ours"):
        made.add_column(name, justify="right", no_wrap=True)
    for name, (row, rate) in TITLES.items():
        if name in today and name in ours:
            cells = [f"{each[name].get(key, 0.0):.1f}" for each in (today, ours) for key in (rate, "p50_ms", "p99_ms")]
            made.add_row(row, *cells, f"{today[name]['p99_ms'] / ours[name]['p99_ms']:.1f}x")
    return made


def conclude(tower: str, measured: Rounds, floor: Mapping[str, float], console: Console) -> None:
    """Medians, the floor, and ratios last."""
    today, ours = (
        {name: medians(undisturbed(rounds, machine.QUIET_CPUS)) for name, rounds in measured[system].items()}
        for system in ("today", "ours")
    )
    for system, by_scenario in (("today", today), ("ours", ours)):
        for scenario, numbers in by_scenario.items():
            emit(tower=tower, scenario=scenario, system=system, median=True, **numbers)
    emit(tower=tower, floor={key: round(value, 3) for key, value in floor.items()})
    console.print(table(f"{tower} tower, medians over the rounds", today, ours))
    if noisy := [name for each in (today, ours) for name in each if each[name]["cpus_others"] > machine.QUIET_CPUS]:
        console.print(f"[yellow]void, as other programs used the CPUs meanwhile: {', '.join(noisy)}[/]")
    console.print(
        f"floor: {floor['per_second']:.1f} images/s (an image: decode {floor['decode_ms']:.2f} ms, forward "
        f"{floor['forward_ms']:.1f} ms; transformers' forward {floor['transformers_forward_ms']:.1f} ms)",
        highlight=False,
    )
    for name in ours:
        emit(tower=tower, ratio=f"{name}: p99, today / ours", value=today[name]["p99_ms"] / ours[name]["p99_ms"])
    for system, each in (("today", today), ("ours", ours)):
        emit(
            tower=tower,
            ratio=f"throughput: {system} / floor",
            value=each["throughput"]["per_second"] / floor["per_second"],
        )
    emit(
        tower=tower,
        ratio="throughput: ours / today",
        value=ours["throughput"]["per_second"] / today["throughput"]["per_second"],
    )
    if "lag_beside_videos" in ours:
        verdict(tower, targets(today, ours), console)


def verdict(tower: str, reached: list[Target], console: Console) -> None:
    """What was to be reached, met or missed."""
    for each in reached:
        emit(tower=tower, ratio=each.name, value=each.value, unit=each.unit, limit=each.limit, met=each.met)
        word = {"least": "at least", "below": "below", "most": "at most"}[each.bound]
        mark = "[green]met   [/]" if each.met else "[red]missed[/]"
        console.print(
            f"{mark} {each.name}: {each.value:.2f} {each.unit} ({word} {each.limit:g} {each.unit})", highlight=False
        )
