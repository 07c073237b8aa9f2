"""What a run prints: JSON lines on stdout for machines, tables on stderr for people."""

import json
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bench.stats import Target

TITLES = {
    "throughput": "images, 16 at a time",
    "lag_beside_videos": "event loop beside 2 videos",
    "images_alone": "images, 4 at a time",
    "images_beside_slow_url": "... beside a slow URL",
    "images_beside_slow_site": "... beside 8 slow URLs",
    "images_beside_video": "... beside a video",
}

Medians = Mapping[str, Mapping[str, float]]


def emit(**fields: object) -> None:
    """One JSON line; numbers are rounded to what was measured."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in fields.items()}
    print(json.dumps(rounded), flush=True)


def table(today: Medians, ours: Medians) -> Table:
    """Both systems side by side, a row a scenario."""
    made = Table(title="Medians over the rounds", title_justify="left")
    made.add_column("scenario")
    for name in ("today: rate/s", "p50 ms", "p99 ms", "ours: rate/s", "p50 ms", "p99 ms", "p99 today / ours"):
        made.add_column(name, justify="right")
    for name, title in TITLES.items():
        if name in today and name in ours:
            cells = [f"{each[name][key]:.1f}" for each in (today, ours) for key in ("per_second", "p50_ms", "p99_ms")]
            made.add_row(title, *cells, f"{today[name]['p99_ms'] / ours[name]['p99_ms']:.1f}x")
    return made


def show(console: Console, today: Medians, ours: Medians, floor: Mapping[str, float], targets: list[Target]) -> None:
    """The tables, the floor, and what was to be reached."""
    console.print(table(today, ours))
    console.print(
        f"floor: {floor['per_second']:.1f} images/s (decode {floor['decode_ms']:.2f} ms and forward "
        f"{floor['forward_ms']:.1f} ms an image; transformers' forward {floor['transformers_forward_ms']:.1f} ms)"
    )
    for each in targets:
        word = {"least": "at least", "below": "below", "most": "at most"}[each.bound]
        mark = "[green]met[/]" if each.met else "[red]missed[/]"
        console.print(
            f"{mark:>6}  {each.name}: {each.value:.2f} {each.unit}, to reach {word} {each.limit:g} {each.unit}"
        )
