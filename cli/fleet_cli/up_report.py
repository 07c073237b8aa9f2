"""What `encoderfleet up` says. One method a happening; `up_table` says it to people, `up_json` to programs."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from fleet_operator.local.supervise import Change, Supervisor
from fleet_operator.local.world import Replica
from fleet_operator.plan import Plan

WIDTH_OF_FILES = 140


class Output(Console):
    """A rich console that falls silent when its reader is gone, where rich would end the program.

    Args:
        stream: stdout or stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, width=None if stream.isatty() else WIDTH_OF_FILES)
        self.broken = False

    def on_broken_pipe(self) -> None:
        """Swallow whatever is still to be written, or is in Python's buffer."""
        self.quiet = self.broken = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())
        os.close(null)


class Report(ABC):
    """Where `up` tells what happens. No method raises because nobody reads any more: `on_broken` is called instead.

    Args:
        plan: What runs.
        replicas: Where.
        quiet: Leave the replicas' own lines out.
        on_broken: Called when the reader of the output is gone.
    """

    def __init__(
        self, plan: Plan, replicas: Sequence[Replica], *, quiet: bool, on_broken: Callable[[], None] = lambda: None
    ) -> None:
        self.plan = plan
        self.replicas = tuple(replicas)
        self.quiet = quiet
        self.on_broken = on_broken
        self._out, self._err = Output(sys.stdout), Output(sys.stderr)

    @abstractmethod
    def starting(self) -> None:
        """Nothing has been started yet."""

    @abstractmethod
    def change(self, change: Change) -> None:
        """A replica has changed its state."""

    @abstractmethod
    def line(self, replica: str, line: str) -> None:
        """A replica has written a line."""

    @contextmanager
    def waiting(self, supervisors: Sequence[Supervisor]) -> Iterator[None]:
        """Around the time that the replicas need to load and warm up."""
        yield

    @abstractmethod
    def ready(self, pids: Sequence[int]) -> None:
        """All replicas are ready for the first time."""

    @abstractmethod
    def draining(self) -> None:
        """They were asked to finish."""

    @abstractmethod
    def killing(self) -> None:
        """They are ended without waiting."""

    @abstractmethod
    def drained(self) -> None:
        """None is left."""

    def failed(self, message: str) -> None:
        """Why this ends although nobody asked for it: one line on stderr."""
        self._print(self._err, Text(f"Error: {message}"))

    def _print(self, output: Output, text: RenderableType) -> None:
        try:
            output.print(text, soft_wrap=True, markup=False, highlight=False)
        except OSError:  # the terminal was closed
            output.on_broken_pipe()
        if output.broken:
            self.on_broken()
