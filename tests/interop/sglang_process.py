"""SGLang's servers as processes on loopback: its encoder, its language server, its bootstrap server alone.

    with Encoder(python, model, logs) as encoder, LanguageServer(python, model, logs, [encoder.url]) as server: ...

Each is a context manager that waits for health. `together` starts several at once: each needs most of its time for
imports.
"""

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

HERE = Path(__file__).parent
STUBS = HERE / "stubs"
START_SECONDS = 420.0
"""Two minutes on two idle cores; nothing is measured with it."""
END_SECONDS = 10.0
TAIL_LINES = 40
LINE = 400

TO_TOKENIZER = "zmq_to_tokenizer"
TO_SCHEDULER = "zmq_to_scheduler"

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
        return self.get_from(self.url, path, timeout)

    def get_from(self, url: str, path: str, timeout: float = 30) -> tuple[int, bytes]:
        """The same, from another port of its."""
        return self._ask(urllib.request.Request(url + path), timeout)

    def post(self, path: str, body: Any, timeout: float = 300, method: str = "POST") -> tuple[int, Any]:
        """Status and JSON of the answer; the text where it is none."""
        return self.post_to(self.url, path, body, method, timeout)

    def post_to(self, url: str, path: str, body: Any, method: str = "POST", timeout: float = 300) -> tuple[int, Any]:
        """The same, to another port of its."""
        header = {"Content-Type": "application/json"}
        request = urllib.request.Request(url + path, json.dumps(body).encode(), header, method=method)
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


class Encoder(Server):
    """SGLang's `--encoder-only` server.

    Args:
        python: SGLang's interpreter.
        model: Model directory.
        logs: A folder.
        flags: Further flags of SGLang's.
        backend: How its embeddings leave, for all requests.
        register: Bootstrap servers to register at.
        environment: For example `SGLANG_ENCODER_MAX_BATCH_SIZE="1"`.
    """

    def __init__(
        self,
        python: Path,
        model: Path,
        logs: Path,
        *flags: str,
        backend: str = TO_TOKENIZER,
        register: Sequence[str] = (),
        **environment: str,
    ) -> None:
        (port,) = ports.free(1)
        program = [STUBS / "serve.py", "--model-path", model, "--encoder-only", "--device", "cpu", "--enable-metrics"]
        program += ["--host", ports.HOST, "--port", port, "--encoder-transfer-backend", backend]
        program += ["--encoder-register-urls", *register] if register else []
        super().__init__(python, "sglang-encoder", logs, [*program, *flags], port, environment)


class LanguageServer(Server):
    """SGLang's `--language-only` server.

    Args:
        python: SGLang's interpreter.
        model: Model directory.
        logs: A folder.
        encoders: URLs of encoders; more may register at `bootstrap`.
        flags: Further flags of SGLang's.
        backend: How embeddings come, the same as the encoders'.
        environment: For example `SGLANG_ENCODER_RECV_TIMEOUT="20"`.
    """

    def __init__(
        self,
        python: Path,
        model: Path,
        logs: Path,
        encoders: Sequence[str],
        *flags: str,
        backend: str = TO_TOKENIZER,
        **environment: str,
    ) -> None:
        port, bootstrap = ports.free(2)
        program = [STUBS / "serve.py", "--model-path", model, "--language-only", "--device", "cpu"]
        program += ["--host", ports.HOST, "--port", port, "--encoder-transfer-backend", backend]
        program += ["--encoder-urls", *encoders] if encoders else []
        program += ["--encoder-bootstrap-port", bootstrap, "--mem-fraction-static", 0.1, "--max-total-tokens", 20_000]
        program += ["--disable-cuda-graph", "--skip-server-warmup"]
        self.bootstrap = f"http://{ports.HOST}:{bootstrap}"
        super().__init__(python, "sglang-language", logs, [*program, *flags], port, environment)

    @property
    def encoders(self) -> list[str]:
        """The URLs that are registered now."""
        return _listed(self, self.bootstrap)

    def chat(self, content: Any, tokens: int = 16, timeout: float = 300) -> tuple[int, Any]:
        """Status and answer of a chat completion, greedy: from the same embeddings the same `response_token_ids`."""
        return self.post(
            "/v1/chat/completions",
            {
                "model": "model",
                "messages": [{"role": "user", "content": content}],
                "max_tokens": tokens,
                "temperature": 0,
                "ignore_eos": True,
                "return_token_ids": True,
            },
            timeout,
        )


class Bootstrap(Server):
    """SGLang's EncoderBootstrapServer alone: what encoders register at, without the minutes of a language server.

    Args:
        python: SGLang's interpreter.
        logs: A folder.
        environment: For example `SGLANG_ENCODER_BOOTSTRAP_HEALTH_CHECK_INTERVAL="1"`.
    """

    def __init__(self, python: Path, logs: Path, **environment: str) -> None:
        (port,) = ports.free(1)
        super().__init__(python, "sglang-bootstrap", logs, [HERE / "bootstrap.py", port], port, environment)

    @property
    def encoders(self) -> list[str]:
        """The URLs that are registered now."""
        return _listed(self, self.url)


def _listed(server: Server, bootstrap: str) -> list[str]:
    status, body = server.get_from(bootstrap, "/list_encoder_urls")
    assert status == 200, body
    urls: list[str] = json.loads(body)["encoder_urls"]
    return urls


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
