"""Writes what `up` says from a thread of its own: a terminal that nobody reads must not hold up the replicas.

After Ctrl-S, or behind a pager, a write waits for as long as it takes. Only that thread waits then: signals are heard,
replicas are read and restarted, and of their lines those that are too many are left out and counted.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

WIDTH_OF_FILES = 140
MAX_LINES = 2000
TICK_SECONDS = 0.1


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


class Writer:
    """One stream and its thread. No method waits, but `close`; all are called from one thread.

    Args:
        stream: stdout or stderr.
        on_broken: Called, from the writer's thread, when nobody can read any more.
    """

    def __init__(self, stream: TextIO, on_broken: Callable[[], None]) -> None:
        self.console = Output(stream)
        self._on_broken = on_broken
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(MAX_LINES)
        self._left_out = 0
        self._tick: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def say(self, text: RenderableType) -> None:
        """What is rare, and must not get lost."""
        self._jobs.put(lambda: self._print(text))

    def log(self, text: Text) -> None:
        """A line of a replica: left out where too many wait already."""
        if not self._room.acquire(blocking=False):
            self._left_out += 1
            return
        self._tell_left_out()

        def write() -> None:
            self._room.release()
            self._print(text)

        self._jobs.put(write)

    def animate(self, start: Callable[[], None], tick: Callable[[], None]) -> None:
        """Do `start`, then `tick` whenever there is nothing to write, until `settle`."""

        def begin() -> None:
            self._tick = tick
            start()

        self._jobs.put(begin)

    def settle(self, stop: Callable[[], None]) -> None:
        """Do `stop`, and no tick any more."""

        def end() -> None:
            self._tick = None
            stop()

        self._jobs.put(end)

    def close(self, seconds: float) -> bool:
        """Write what waits; False where that takes longer than `seconds`, as nobody reads."""
        self._tell_left_out()
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _tell_left_out(self) -> None:
        if self._left_out:
            self.say(Text(f"({self._left_out} lines of the replicas are left out here: nobody read them in time)"))
            self._left_out = 0

    def _print(self, text: RenderableType) -> None:
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=None if self._tick is None else TICK_SECONDS)
            except queue.Empty:
                job = self._tick or _nothing
            if job is None:
                return
            try:
                job()
            except OSError:  # the terminal was closed
                self.console.on_broken_pipe()
            if self.console.broken:
                self._on_broken()


def _nothing() -> None:
    pass
