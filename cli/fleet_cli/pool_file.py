"""Reading the pool file that a command was given, and saying what is wrong with it."""

from pathlib import Path

import click

from fleet_operator.api import EncoderPool, PoolError, load_pool


class WrongPool(click.ClickException):
    """The pool file has to be changed. Exit code 2."""

    exit_code = 2


def read_pool(path: Path) -> EncoderPool:
    """The pool of a file.

    Raises:
        WrongPool: With one line where one thing is wrong, else with a list of all.
    """
    try:
        return load_pool(path)
    except PoolError as error:
        raise WrongPool(_describe(path, error)) from error


def _describe(path: Path, error: PoolError) -> str:
    first, *others = error.problems
    if others:
        return "\n  ".join((f"{path} has {len(error.problems)} errors:", *map(str, error.problems)))
    return str(first) if first.path == str(path) else f"{path}: {first}"
