"""Running `encoderfleet` commands as a user would, `up` among them."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any, Self

POOL = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata:
  name: {name}
spec:
  model:
    path: {model}
  replicas: {replicas}
  cache:
    size: 256Mi
"""
EVENT_SECONDS = 120.0
DRAIN_SECONDS = 45.0


class DemoFailedError(Exception):
    """Something did not go as it should; the text says what."""


def program() -> list[str]:
    """The installed command line."""
    return [str(Path(sys.executable).with_name("encoderfleet"))]


def write_pool(folder: Path, name: str, model: str, replicas: int) -> Path:
    """A pool file `<name>.yaml` in `folder`."""
    path = folder / f"{name}.yaml"
    path.write_text(POOL.format(name=name, model=model, replicas=replicas))
    return path


class Up:
    """`encoderfleet up POOL -o json` in the background. Leaving the block drains it, or kills it if that fails.

    Args:
        pool: The pool file.
        folder: Where the command runs.
        count: Replicas, even where there are fewer CPUs.
    """

    def __init__(self, pool: Path, folder: Path, count: int) -> None:
        self.pool = pool
        self.log = folder / f"{pool.stem}.log"
        self._log_file = self.log.open("w")
        # The launcher has the kernel end `up`, and so its replicas, even where this demo is killed.
        launcher = [sys.executable, "-m", "fleet_operator.local.launch", str(os.getpid()), "-"]
        self._process = subprocess.Popen(
            [*launcher, *program(), "up", pool.name, "--replicas", str(count), "-o", "json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            text=True,
            process_group=0,
        )
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self._events.put(json.loads(line))
        self._events.put(None)

    def event(self, name: str) -> dict[str, Any]:
        """Wait for the next event `name`; those before it are passed over.

        Raises:
            DemoFailedError: `up` ended, or nothing came in two minutes; with its last lines.
        """
        deadline = monotonic() + EVENT_SECONDS
        while monotonic() < deadline:
            event = self.poll(name)
            if event is not None:
                return event
            sleep(0.05)
        raise DemoFailedError(f"{self.pool.name}: no event {name} in {EVENT_SECONDS:.0f} s")

    def poll(self, name: str) -> dict[str, Any] | None:
        """The next event `name` if it has come already; those before it are passed over.

        Raises:
            DemoFailedError: `up` ended; with its last lines.
        """
        with suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                if event is None:
                    last = "\n".join(self.log.read_text().splitlines()[-5:])
                    raise DemoFailedError(f"encoderfleet up {self.pool.name} ended before its event {name}:\n{last}")
                if event["event"] == name:
                    return event
        return None

    def drain(self) -> None:
        """What Ctrl-C does; waits for its end.

        Raises:
            DemoFailedError: It did not end well.
        """
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoFailedError(f"encoderfleet up {self.pool.name} did not drain in {DRAIN_SECONDS:.0f} s") from None
        if code != 0:
            raise DemoFailedError(f"encoderfleet up {self.pool.name} ended with exit code {code}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._process.poll() is None:
                self.drain()
        except DemoFailedError:
            pass  # the reason why we are here says more
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._log_file.close()
