"""One replica as a subprocess: it starts, says lines, gets signals, ends."""

import asyncio
import codecs
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from fleet_operator.local.shell import environment

OnLine = Callable[[str], None]

LONGEST_LINE = 64 << 10
LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Attributes:
        program: Program and its arguments.
        env: Set for the replica, over what this process has.
        cpus: CPUs that it may use; None for all that this process has.
    """

    program: tuple[str, ...]
    env: Mapping[str, str]
    cpus: frozenset[int] | None = None


class ReplicaProcess:
    """A running replica, in a process group of its own: Ctrl-C in the terminal reaches `up` alone, which drains."""

    def __init__(self, process: Process, on_line: OnLine) -> None:
        self._process = process
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._reader = asyncio.create_task(self._read(on_line))

    @classmethod
    async def start(cls, command: Command, on_line: OnLine) -> Self:
        """Start `command`; every line that it writes goes to `on_line` and to `last_lines`.

        Raises:
            OSError: This machine cannot start another process.
        """
        cpus = "-" if command.cpus is None else ",".join(map(str, sorted(command.cpus)))
        # -P: whatever lies in the working directory must not shadow a module.
        launcher = (sys.executable, "-P", "-m", "fleet_operator.local.launch", str(os.getpid()), cpus)
        process = await asyncio.create_subprocess_exec(
            *launcher,
            *command.program,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=environment(os.environ, command.env),
            process_group=0,
        )
        return cls(process, on_line)

    @property
    def pid(self) -> int:
        """Process id, and id of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end and its last line; returns the exit code, -n for signal n."""
        code = await self._process.wait()
        # Somebody who inherited the pipe may keep it open: do not wait for that.
        await asyncio.wait([self._reader], timeout=1.0)
        self._reader.cancel()
        return code

    def terminate(self) -> None:
        """Ask it to drain."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it now, with whatever it has started."""
        if self.running:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _read(self, on_line: OnLine) -> None:
        assert self._process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        while chunk := await self._process.stdout.read(LONGEST_LINE):
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            for line in lines:
                self._say(line, on_line)
        if rest:
            self._say(rest, on_line)

    def _say(self, line: str, on_line: OnLine) -> None:
        line = line.rstrip("\r")
        self.last_lines.append(line)
        on_line(line)
