"""A server of SGLang's as a process, with all that it forks, its output in a file."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.cluster import ports

from fleet_operator.local import launch

STUBS = Path(__file__).parent / "stubs"
START_SECONDS = 420.0
"""Four minutes have been seen on two busy cores; nothing is measured with it."""
END_SECONDS = 10.0
TAIL_LINES = 40
LINE = 400

# The kernel kills a child when the *thread* that started it ends; this one stays.
_starter = ThreadPoolExecutor(1, thread_name_prefix="sglang-starter")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerError(Exception):
    """A server of SGLang's does not stand; with the end of its log."""


class Server:
    """A program in SGLang's environment that answers `GET /health`, with all processes that it forks.

    Args:
        python: SGLang's interpreter.
        name: For people, and for the log file in `logs`.
        logs: A folder.
        program: What the interpreter is to run.
        port: Where it will listen.
        environment: What it gets on top of ours.
    """

    def __init__(
        self, python: Path, name: str, logs: Path, program: Sequence[object], port: int, environment: dict[str, str]
    ) -> None:
        self.name = name
        self.port = port
        self.url = f"http://{ports.HOST}:{port}"
        self.log = logs / f"{name}-{port}.log"
        self._command = [str(each) for each in (python, "-W", "ignore", "-P", *program)]
        # No proxy between processes of this machine, and their thousand modules are compiled once, not at each start.
        ours = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        ours.pop("PYTHONDONTWRITEBYTECODE", None)
        theirs = {"PYTHONPATH": str(STUBS), "SGLANG_HOST_IP": ports.HOST, "HF_HUB_OFFLINE": "1"}
        self._environment = ours | theirs | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and come back at once."""
        launcher = [sys.executable, "-P", launch.__file__, str(os.getpid()), "-"]
        with self.log.open("ab") as stream:
            self._process = _starter.submit(
                subprocess.Popen,
                launcher + self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            ).result()

    def wait_until_ready(self) -> None:
        """Until it answers that it is healthy.

        Raises:
            ServerError: It ended, or takes for ever.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.get("/health", timeout=60)[0] != 200:
            if not self.running:
                raise ServerError(f"{self.name} ended while it started ({self.log}):\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not ready after {START_SECONDS:.0f} s ({self.log}):\n{self.tail()}")
            time.sleep(0.25)

    @property
    def pid(self) -> int:
        """Process id of the server, and of its group."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its first process has not ended yet."""
        # It is looked at, but not reaped: while it is there, nobody else gets its number.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The end of its log."""
        # Cut, as one line of it tells all of SGLang's flags.
        return "\n".join(line[:LINE] for line in self.log.read_text(errors="replace").splitlines()[-lines:])

    def get(self, path: str, timeout: float = 30) -> tuple[int, bytes]:
        """Status and body; status 0 where nothing answers."""
        return self._ask(urllib.request.Request(self.url + path), timeout)

    def post(
        self, path: str, body: Any, timeout: float = 300, method: str = "POST", url: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of the answer; the text where it is none. `url` is another port of its."""
        header = {"Content-Type": "application/json"}
        request = urllib.request.Request((url or self.url) + path, json.dumps(body).encode(), header, method=method)
        status, text = self._ask(request, timeout)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")

    def _ask(self, request: urllib.request.Request, timeout: float) -> tuple[int, bytes]:
        try:
            with _direct.open(request, timeout=timeout) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def terminate(self) -> None:
        """SIGTERM to its first process, as a kubelet sends it."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all its processes: the machine is gone."""
        os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it and all that it forked, however it stands."""
        if self._process is None:
            return
        self.terminate()
        deadline = time.monotonic() + END_SECONDS
        while self.running and time.monotonic() < deadline:
            time.sleep(0.05)
        with suppress(ProcessLookupError):
            self.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@contextmanager
def together(*servers: Server) -> Iterator[None]:
    """Start them at once; all are ready inside the block, and gone behind it."""
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.end)
            server.start()
        for server in servers:
            server.wait_until_ready()
        yield
