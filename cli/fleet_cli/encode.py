"""`encoderfleet encode`: media in, embeddings out, and where the time went."""

import asyncio
import contextlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fleet_cli import encode_report, encode_save
from fleet_cli.encode_sources import Source, shown, understand
from fleet_client import AsyncClient, EncodeError, Encoding, Welcome
from fleet_client.protocol import Modality

HELLO_SECONDS = 4.0
"""An encoder that is there answers in milliseconds."""


MAX_TIMEOUT_SECONDS = 24 * 3600
MAX_FPS = 1000
MAX_FRAMES = 1_000_000
"""Bounds that catch a slip of the hand; what a pool really takes is its own (spec.media.maxFrames)."""

INTERRUPTED = 130
"""Exit code that shells give to what Ctrl-C ended."""


@dataclass(slots=True)
class _Job:
    """One run of the command."""

    endpoints: list[str]
    sources: dict[int, Source]
    timeout: float
    keep: bool
    welcomes: dict[str, Welcome] = field(default_factory=dict)
    rows: dict[int, encode_report.Row] = field(default_factory=dict)
    kept: dict[int, tuple[Source, Encoding]] = field(default_factory=dict)


@click.command("encode")
@click.argument("sources", nargs=-1, required=True, metavar="FILE_OR_URL...")
@click.option(
    "-e",
    "--endpoint",
    "endpoints",
    required=True,
    multiple=True,
    metavar="HOST:PORT[,HOST:PORT]",
    help="Encoders to use; `encoderfleet up` prints them.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.safetensors",
    help='Write the embeddings there: tensor "0" for the first FILE_OR_URL, and so on.',
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=MAX_TIMEOUT_SECONDS, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="For each item, waiting and retries included.",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, max=MAX_FPS, min_open=True),
    metavar="RATE",
    help="Frames a second to sample of videos.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1, max=MAX_FRAMES),
    metavar="COUNT",
    help="Sample exactly so many frames of each video.",
)
@click.option(
    "--modality",
    type=click.Choice(["image", "video", "audio"]),
    help="What all the items are; without it, their extensions tell.",
)
def command(
    sources: Sequence[str],
    endpoints: Sequence[str],
    output: str,
    save: Path | None,
    timeout: float,
    fps: float | None,
    frames: int | None,
    modality: Modality | None,
) -> None:
    """Encode images, videos and audio at one or several running encoders.

    Files are read here and sent; URLs are fetched by the encoder. Items that fail are shown with the reason, and all
    the others are still done. Ctrl-C ends it: what is done by then is shown and saved. Exit code 0: all encoded;
    1: at least one failed; 2: wrong usage; 130: interrupted.
    """
    if math.isnan(timeout) or (fps is not None and math.isnan(fps)):
        raise click.UsageError("--timeout and --fps take numbers, not nan")
    if fps is not None and frames is not None:
        raise click.UsageError("give --fps or --frames, not both")
    if save is not None:
        try:
            encode_save.check(save)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--save") from error
    addresses = [address for each in endpoints for address in each.split(",") if address.strip()]
    job = _Job(addresses, {}, timeout, keep=save is not None)
    for index, text in enumerate(sources):
        try:
            job.sources[index] = understand(text, modality, fps, frames)
        except ValueError as error:
            job.rows[index] = encode_report.not_understood(shown(text), str(error))
    if not job.sources:
        raise click.UsageError("\n".join(f"{row.name}: {row.message}" for row in job.rows.values()))
    started = monotonic()
    interrupted = False
    try:
        asyncio.run(_encode(job))
    except KeyboardInterrupt:
        interrupted = True
    seconds = monotonic() - started
    saved = _save(save, job) if save is not None and job.kept else None
    rows = [job.rows.get(index) or encode_report.unfinished(job.sources[index]) for index in range(len(sources))]
    if output == "json":
        click.echo(encode_report.as_json(rows, seconds, saved, job.welcomes))
    else:
        encode_report.as_table(rows, seconds, saved)
    sys.exit(INTERRUPTED if interrupted else int(any(row.failed for row in rows)))


async def _encode(job: _Job) -> None:
    try:
        client = AsyncClient(job.endpoints, timeout=job.timeout, name="encoderfleet encode")
        await client.__aenter__()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--endpoint") from error
    except OSError as error:  # more endpoints than there may be sockets
        raise click.ClickException(error.strerror or str(error)) from error
    try:
        try:
            job.welcomes = await client.hello(min(HELLO_SECONDS, job.timeout))
        except EncodeError as error:  # nobody there: what goes wrong with one item is in its row
            raise click.ClickException(str(error)) from error
        await _stream(client, job)
    finally:
        await client.close()


async def _stream(client: AsyncClient, job: _Job) -> None:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("encoding", total=len(job.sources))
        numbers = list(job.sources)
        media = [source.media for source in job.sources.values()]
        async for number, outcome in client.stream(media, return_errors=True):
            index = numbers[number]
            source = job.sources[index]
            if isinstance(outcome, Encoding) and outcome.endpoint not in job.welcomes:
                with contextlib.suppress(EncodeError):  # it is away again: its embedding is no worse for that
                    job.welcomes |= await client.hello(timeout=0)
            job.rows[index] = encode_report.row(source, outcome)
            if job.keep and isinstance(outcome, Encoding):
                job.kept[index] = source, outcome
            progress.advance(task)


def _save(path: Path, job: _Job) -> str:
    try:
        encode_save.save(path, job.kept, job.welcomes)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror or error}") from error
    return str(path)
