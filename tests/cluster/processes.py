"""One program of the control plane as a child process that never outlives this one."""

import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

START_SECONDS = 180.0
"""So long because machines of tests are slow and shared; nothing is measured with it."""
END_SECONDS = 20.0
TAIL_LINES = 30

# The kernel kills a child when the *thread* that started it ends, not only when the process does: a start from a test's
# thread would last as long as that one. This thread stays.
_starter = ThreadPoolExecutor(1, thread_name_prefix="control-plane-starter")


class ControlPlaneError(Exception):
    """The control plane does not stand; the text says which program fell, with the end of its log."""


class Process:
    """A running program, its output in a file.

    Args:
        name: For people.
        command: Program and arguments.
        log: Where its output is appended.
    """

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        # A process group of its own: Ctrl-C in the terminal reaches us alone, and we end all in order.
        launcher = [sys.executable, "-P", "-m", "fleet_operator.local.launch", str(os.getpid()), "-"]
        with log.open("ab") as stream:
            self._process = _starter.submit(
                subprocess.Popen,
                launcher + command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                process_group=0,
            ).result()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait for something that this process brings about.

        Raises:
            ControlPlaneError: It ended, or takes for ever.
        """
        deadline = time.monotonic() + START_SECONDS
        while not reached():
            self.check()
            if time.monotonic() > deadline:
                raise ControlPlaneError(f"{self.name} is not ready after {START_SECONDS:.0f} s:\n{self.tail()}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise where it has ended.

        Raises:
            ControlPlaneError: With the end of its log.
        """
        if not self.running:
            raise ControlPlaneError(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def ask_to_end(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)  # looks first whether it has ended

    def end(self, *, kill: bool = False) -> None:
        """End it: SIGTERM first, SIGKILL after a while or, with `kill`, at once."""
        if not kill:
            self.ask_to_end()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a GET of `url` gets status 200."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False
