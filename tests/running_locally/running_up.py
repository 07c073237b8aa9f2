"""Starting `encoderfleet up` as a process, and reading what it says."""

import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 120.0
"""Seconds after which a test fails instead of waiting on; nothing is measured with it."""


def pool_file(folder: Path, model: Path | str = "model", *, replicas: int = 2, drain_seconds: int = 30) -> Path:
    """A pool file in `folder`."""
    path = folder / "pool.yaml"
    path.write_text(
        "apiVersion: encoderfleet.io/v1alpha1\nkind: EncoderPool\nmetadata: {name: pool}\n"
        f"spec:\n  model: {{path: {model}}}\n  replicas: {replicas}\n  lifecycle: {{drainSeconds: {drain_seconds}}}\n"
    )
    return path


def pool_with_model(folder: Path, **settings: Any) -> Path:
    """A pool file beside what looks like a model, for programs that do not read it."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    return pool_file(folder, **settings)


def is_running(pid: int) -> bool:
    """Whether process `pid` exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait; fails when that takes for ever."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Up:
    """One `encoderfleet up`, in a session of its own as under a terminal; a context manager that leaves nothing behind.

    Args:
        arguments: Of the command.
        replica: Arguments of `programs/replica.py`, which then takes the encoder's place; None runs the real one.
    """

    def __init__(self, *arguments: str | Path, replica: str | None = "") -> None:
        if replica is None:
            program = [sys.executable, "-c", "from fleet_cli.main import main; main()", "up"]
        else:
            program = [
                sys.executable,
                str(PROGRAMS / "up.py"),
                f"{shlex.quote(str(PROGRAMS / 'replica.py'))} {replica}",
            ]
        self.process = subprocess.Popen(
            [*program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            if lines is self.out and line.startswith("{"):
                self._events.put(json.loads(line))

    @property
    def said(self) -> str:
        """All that it has written."""
        return "\n".join([*self.out, *self.err])

    def event(self, name: str) -> dict[str, Any]:
        """The next event of that name; those before it are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no event {name}:\n{self.said}") from None
            if event["event"] == name:
                return event

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to `up` alone."""
        self.process.send_signal(number)

    def ctrl_c(self) -> None:
        """What a terminal does: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.end()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
