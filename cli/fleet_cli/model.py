"""`encoderfleet model`: which models are served, and a small one to try with."""

import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table


@click.group("model")
def command() -> None:
    """List the model families that are served, or write a small random model to try with."""


@command.command("list")
def list_families() -> None:
    """Show the families, their architectures and modalities."""
    from fleet_encoder.families import FAMILIES  # loads torch: not before it is needed

    table = Table("family", "architecture", "modalities", box=None, pad_edge=False)
    for name, family in FAMILIES.items():
        table.add_row(name, ", ".join(sorted(family.architectures)), ", ".join(sorted(family.modalities)))
    Console(soft_wrap=True).print(table)


@command.command("new")
@click.option("--family", required=True, metavar="NAME", help="As `encoderfleet model list` shows them.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the random weights.")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def new(family: str, seed: int, out: Path) -> None:
    """Write a small random model to the directory OUT.

    It has the files, classes and layers of the real model, but few and narrow ones with random weights: good for a
    first try, demos and tests; its embeddings mean nothing.
    """
    out = out.resolve()
    if out.exists() and any(out.iterdir()):
        raise click.ClickException(f"{out} is not empty: name a new directory, or empty it first")

    from fleet_encoder.families import FAMILIES

    if family not in FAMILIES:
        raise click.BadParameter(f"{family!r} is not served; choose from {', '.join(FAMILIES)}", param_hint="--family")
    try:
        _write(family, seed, out)
    except OSError as error:
        raise click.ClickException(f"cannot write {out}: {error.strerror or error}") from error
    size = sum(path.stat().st_size for path in out.iterdir())
    click.echo(f"{out}: a random {family} model, {size / 1e6:.0f} MB in {sum(1 for _ in out.iterdir())} files")


def _write(family: str, seed: int, out: Path) -> None:
    """Write beside OUT and move, config.json last: what has a config.json is whole."""
    from safetensors import SafetensorError

    from fleet_encoder.families import FAMILIES

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        try:
            FAMILIES[family].create(Path(scratch), seed=seed)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error
        out.mkdir(exist_ok=True)
        for path in sorted(Path(scratch).iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(out / path.name)
