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
from fleet_client.protocol import Status

COLUMNS = ("file", "modality", "status", "tokens", "dim", "grid", "cached", "total ms")
DETAILS = ("endpoint", "stages in ms, or what is wrong")

WIDTH_OF_FILES = 1000
"""Where the output is no terminal, a row is a line, however long."""


@dataclass(frozen=True, slots=True)
class Row:
    """One item as it ended, without its embedding.

    Attributes:
        name: Of the file or URL, to show.
        modality: Empty where the name does not tell.
        status: As the wire calls it; for errors of the client alone, the exception's name in capitals.
        shape: (tokens, dim) of the embedding.
        total_ms: From the call to the answer; None where it failed.
    """

    name: str
    modality: str
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
        return Row(source.name, source.modality, status, str(outcome), outcome.endpoint, outcome.attempts)
    tokens, dim = outcome.embedding.shape
    return Row(
        source.name,
        source.modality,
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
    return Row(source.name, source.modality, str(Status.CANCELLED), "interrupted before it was done", "", 0)


def not_understood(name: str, reason: str) -> Row:
    """An argument that is no media file, by its name."""
    return Row(name, "", str(Status.INVALID), reason, "", 0)


def as_table(rows: list[Row], seconds: float, saved: str | None) -> None:
    """Print a table and a line that sums it up."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    table = _table(rows, details=True)
    needed = console.measure(table, options=console.options.update(width=WIDTH_OF_FILES)).maximum
    narrow = needed > console.width
    if narrow:
        table = _table(rows, details=False)
    with console.capture() as capture:
        console.print(table)
        if narrow:
            for each in rows:
                console.print(_details(each), soft_wrap=True)
    lines = capture.get().splitlines()
    print("\n".join(lines if console.is_terminal else [line.rstrip() for line in lines]))
    print(_summary(rows, seconds, saved))


def as_json(rows: list[Row], seconds: float, saved: str | None, welcomes: dict[str, Welcome]) -> str:
    """One object: `items` in the order of the arguments, and what the encoders said about themselves."""
    items = [
        {
            "source": each.name,
            "modality": each.modality or None,
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


def _table(rows: list[Row], *, details: bool) -> Table:
    """A row an item; its details in the last columns, or left to lines of their own below."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (*COLUMNS, *(DETAILS if details else ())):
        right = name in ("tokens", "dim", "total ms")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for each in rows:
        cells = _cells(each)[: len(table.columns)]
        table.add_row(*(Text(cell, style="red" if each.failed else "") for cell in cells))
    return table


def _details(row: Row) -> Text:
    endpoint, detail = _cells(row)[-2:]
    return Text(f"{row.name}: {detail}{f' ({endpoint})' if endpoint else ''}", style="red" if row.failed else "")


def _cells(row: Row) -> list[str]:
    endpoint = row.endpoint.removeprefix("tcp://")
    head = [row.name, row.modality, row.status]
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
        ", ".join(f"{name.removesuffix('_' + row.modality)} {ms:.1f}" for name, ms in stages.items()),
    ]


def _summary(rows: list[Row], seconds: float, saved: str | None) -> str:
    cancelled = sum(row.status == Status.CANCELLED for row in rows)
    failed = sum(row.failed for row in rows) - cancelled
    cached = sum(row.cached for row in rows)
    parts = [f"{len(rows) - failed - cancelled} encoded"]
    if cached:
        parts[0] += f" ({cached} from the cache)"
    if failed:
        parts.append(f"{failed} failed")
    if cancelled:
        parts.append(f"{cancelled} cancelled")
    parts.append(f"{seconds:.1f} s")
    return ", ".join(parts) + (f"; embeddings in {saved}" if saved else "")
