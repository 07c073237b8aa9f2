"""What `encoderfleet up` says. One method a happening; `up_table` says it to people, `up_json` to programs."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from fleet_cli.up_writer import Writer
from fleet_operator.local.placing import Replica
from fleet_operator.local.supervise import Change, Supervisor
from fleet_operator.plan import Plan

CLOSE_SECONDS = 2.0


class Report(ABC):
    """Where `up` tells what happens. No method waits for a reader, but `close`.

    No method raises because nobody reads any more: `on_broken` is called instead, from another thread.

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
        self._err = Writer(sys.stderr, lambda: self.on_broken())
        # Two writers on one terminal would write into each other's lines.
        self._out = self._err if _one_terminal() else Writer(sys.stdout, lambda: self.on_broken())

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

    @property
    def sglang_flags(self) -> str:
        """What to start a language server of SGLang with; empty where none is served."""
        urls = [each.ports.sglang_url for each in self.replicas if each.ports.sglang_url]
        return f"--encoder-urls {' '.join(urls)} --encoder-transfer-backend zmq_to_tokenizer" if urls else ""

    def failed(self, message: str) -> None:
        """Why this ends although nobody asked for it: one line on stderr."""
        self._err.say(Text(f"Error: {message}"))

    def close(self) -> bool:
        """Write what waits; False where nobody reads it. The last call."""
        closed = [writer.close(CLOSE_SECONDS) for writer in dict.fromkeys((self._out, self._err))]
        return all(closed)


def _one_terminal() -> bool:
    """Whether stdout and stderr are the same terminal."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return False
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
