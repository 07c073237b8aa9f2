"""What `encoderfleet encode` shows: a table for people, one object for programs."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet_cli.encode_sources import Source
from fleet_client import EncodeError, Encoding, Welcome

WIDTH_OF_FILES = 1000
"""Where the output is no terminal, a row is a line, however long."""


@dataclass(frozen=True, slots=True)
class Row:
    """One item as it ended, without its embedding.

    Attributes:
        status: As the wire calls it; for errors of the client alone, the exception's name in capitals.
        shape: (tokens, dim) of the embedding.
        total_ms: From the call to the answer; None where it failed.
    """

    source: Source
    status: str
    message: str
    endpoint: str
    attempts: int
    shape: tuple[int, int] | None = None
    dtype: str | None = None
    meta: dict[str, Any] | None = None
    cached: bool = False
    stage_ms: dict[str, float] | None = None
    total_ms: float | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no embedding."""
        return self.shape is None


def row(source: Source, outcome: Encoding | EncodeError) -> Row:
    """How the item ended."""
    if isinstance(outcome, EncodeError):
        status = str(outcome.status or type(outcome).__name__.upper())
        return Row(source, status, str(outcome), outcome.endpoint, outcome.attempts)
    tokens, dim = outcome.embedding.shape
    return Row(
        source,
        "OK",
        "",
        outcome.endpoint,
        outcome.attempts,
        shape=(tokens, dim),
        dtype=str(outcome.embedding.dtype),
        meta=msgspec.to_builtins(outcome.meta),
        cached=outcome.cached,
        stage_ms=outcome.stage_ms,
        total_ms=outcome.total_ms,
    )


def unfinished(source: Source) -> Row:
    """An item that was not done when the command was interrupted."""
    return Row(source, "CANCELLED", "interrupted before it was done", "", 0)


def as_table(rows: list[Row], seconds: float, saved: str | None) -> None:
    """Print a table and a line that sums it up."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("file", "modality", "status"):
        table.add_column(name, overflow="fold")
    for name in ("tokens", "dim"):
        table.add_column(name, justify="right")
    for name in ("grid", "cached"):
        table.add_column(name)
    table.add_column("total ms", justify="right")
    for name in ("endpoint", "stages in ms, or what is wrong"):
        table.add_column(name, overflow="fold")
    for each in rows:
        table.add_row(*(Text(cell, style="red" if each.failed else "") for cell in _cells(each)))
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    print("\n".join(lines if console.is_terminal else [line.rstrip() for line in lines]))
    print(_summary(rows, seconds, saved))


def as_json(rows: list[Row], seconds: float, saved: str | None, welcomes: dict[str, Welcome]) -> str:
    """One object: `items` in the order of the arguments, and what the encoders said about themselves."""
    items = [
        {
            "source": each.source.name,
            "modality": each.source.modality,
            "status": each.status,
            "message": each.message,
            "tokens": None if each.shape is None else each.shape[0],
            "dim": None if each.shape is None else each.shape[1],
            "dtype": each.dtype,
            "meta": each.meta,
            "cached": each.cached,
            "stage_ms": each.stage_ms,
            "total_ms": None if each.total_ms is None else round(each.total_ms, 2),
            "endpoint": each.endpoint or None,
            "attempts": each.attempts,
        }
        for each in rows
    ]
    return json.dumps(
        {
            "items": items,
            "failed": sum(each.failed for each in rows),
            "seconds": round(seconds, 3),
            "saved": saved,
            "encoders": {address: msgspec.structs.asdict(welcome) for address, welcome in welcomes.items()},
        },
        indent=2,
    )


def _cells(row: Row) -> list[str]:
    endpoint = row.endpoint.removeprefix("tcp://")
    head = [row.source.name, row.source.modality, row.status]
    if row.shape is None or row.meta is None or row.total_ms is None:
        return [*head, "", "", "", "", "", endpoint, row.message]
    grid = row.meta.get("grid")
    stages = row.stage_ms or {}
    return [
        *head,
        *map(str, row.shape),
        "x".join(map(str, grid)) if grid else "",
        "yes" if row.cached else "no",
        f"{row.total_ms:.1f}",
        endpoint,
        ", ".join(f"{name.removesuffix('_' + row.source.modality)} {ms:.1f}" for name, ms in stages.items()),
    ]


def _summary(rows: list[Row], seconds: float, saved: str | None) -> str:
    failed = sum(row.failed for row in rows)
    cached = sum(row.cached for row in rows)
    parts = [f"{len(rows) - failed} encoded"]
    if cached:
        parts[0] += f" ({cached} from the cache)"
    if failed:
        parts.append(f"{failed} failed")
    parts.append(f"{seconds:.1f} s")
    return ", ".join(parts) + (f"; embeddings in {saved}" if saved else "")
