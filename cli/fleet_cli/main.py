"""`encoderfleet`: the command line. Each command is a module of its own, imported only when it is used."""

import importlib
import os
import signal
import sys
from typing import Any

import click

COMMANDS = {
    "up": ("fleet_cli.up", "operator"),
    "encode": ("fleet_cli.encode", None),
    "plan": ("fleet_cli.plan", "operator"),
    "model": ("fleet_cli.model", "encoder"),
    "crd": ("fleet_cli.crd", "operator"),
}
"""Command -> module, and the extra that brings what the module imports."""


INTERRUPTED = 128 + signal.SIGINT
"""Exit code of Ctrl-C where a command has not its own way to end."""


def open_closed_streams() -> None:
    """Put `/dev/null` where stdin, stdout or stderr was closed (`>&-`): the next file opened would be in its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _needs(command: str, error: ModuleNotFoundError) -> str:
    """One line about a missing package, with the extra that brings it.

    Raises:
        ModuleNotFoundError: As it came, where no extra does: a defect.
    """
    _, extra = COMMANDS[command]
    if extra is None or error.name is None or error.name.startswith("fleet_"):
        raise error
    return f"`encoderfleet {command}` needs {error.name}: pip install '.[{extra}]' in its repository"


def _stand_in(command: str, reason: str) -> click.Command:
    """For a command that cannot be imported: listed with the reason, and fails with it, whatever its arguments."""

    def fail(**_: object) -> None:
        raise click.ClickException(reason)

    anything = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True, "help_option_names": []}
    return click.Command(
        command, callback=fail, params=[anything], help=reason, add_help_option=False, context_settings=settings
    )


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for: `--help` need not load torch."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program, also where a stream was closed before it began."""
        open_closed_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the machine refuses (a full disk, a missing right) ends in one line."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:  # of what a command imports only when it runs
            if ctx.invoked_subcommand not in COMMANDS:
                raise
            raise click.ClickException(_needs(ctx.invoked_subcommand, error)) from error
        except BrokenPipeError:
            raise  # `| head`: click ends that quietly
        except KeyboardInterrupt:
            click.echo(err=True)  # leaves the line in which the terminal shows ^C
            raise click.exceptions.Exit(INTERRUPTED) from None
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise click.ClickException(f"{error.strerror or error}{where}") from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of `cmd_name`; see `_stand_in` for a missing package."""
        if cmd_name not in COMMANDS:
            return None
        try:
            command = importlib.import_module(COMMANDS[cmd_name][0]).command
        except ModuleNotFoundError as error:
            return _stand_in(cmd_name, _needs(cmd_name, error))
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="encoderfleet", prog_name="encoderfleet")
def main() -> None:
    """Run and use the encoder tier of multimodal LLM serving.

    An EncoderPool file describes the encoders; `plan` shows what would run and why, `up` runs it on this machine,
    `encode` sends media to it.
    """
