"""What `encoderfleet up` says. One method a happening; `up_table` says it to people, `up_json` to programs."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from fleet_operator.plan import Plan
from rich.console import Console

from fleet_operator.local.supervise import Change, Supervisor
from fleet_operator.local.world import Replica


class Report(ABC):
    """Where `up` tells what happens. No method raises because nobody reads any more: `on_broken` is called instead.

    Args:
        plan: What runs.
        replicas: Where.
        quiet: Leave the replicas' own lines out.
        on_broken: Called once, when the reader of the output is gone.
    """

    def __init__(
        self, plan: Plan, replicas: Sequence[Replica], *, quiet: bool, on_broken: Callable[[], None] = lambda: None
    ) -> None:
        self.plan = plan
        self.replicas = tuple(replicas)
        self.quiet = quiet
        self.on_broken = on_broken

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

    def _print(self, console: Console, *objects: object) -> None:
        try:
            console.print(*objects, soft_wrap=True, markup=False, highlight=False)
        except OSError:
            # Whatever is still in the buffer would raise again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), console.file.fileno())
            self.on_broken()
