"""SGLang's servers as processes on loopback: its encoder, its language server, its bootstrap server alone.

    with Encoder(python, model, logs) as encoder, LanguageServer(python, model, logs, [encoder.url]) as server: ...

Each is a context manager that waits for health; `together` starts several at once.
"""

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster import ports
from tests.interop.server import STUBS, Server, ServerError, together

__all__ = ["TO_SCHEDULER", "TO_TOKENIZER", "Bootstrap", "Encoder", "LanguageServer", "ServerError", "together"]

HERE = Path(__file__).parent

TO_TOKENIZER = "zmq_to_tokenizer"
TO_SCHEDULER = "zmq_to_scheduler"


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


class WithList(Server):
    """A server that keeps a list of encoders.

    Attributes:
        bootstrap: Where it does.
    """

    bootstrap: str

    @property
    def encoders(self) -> list[str]:
        """The URLs that are registered now."""
        with urllib.request.urlopen(f"{self.bootstrap}/list_encoder_urls", timeout=30) as answer:
            urls: list[str] = json.load(answer)["encoder_urls"]
        return urls

    def register(self, url: str) -> None:
        """Put an encoder on the list."""
        assert self.post("/register_encoder_url", {"url": url}, url=self.bootstrap)[0] == 200

    def unregister(self, url: str) -> None:
        """Take an encoder off the list."""
        assert self.post("/unregister_encoder_url", {"url": url}, method="DELETE", url=self.bootstrap)[0] == 200


class LanguageServer(WithList):
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


class Bootstrap(WithList):
    """SGLang's EncoderBootstrapServer alone: what encoders register at, without the minutes of a language server.

    Args:
        python: SGLang's interpreter.
        logs: A folder.
        environment: For example `SGLANG_ENCODER_BOOTSTRAP_HEALTH_CHECK_INTERVAL="1"`.
    """

    def __init__(self, python: Path, logs: Path, **environment: str) -> None:
        (port,) = ports.free(1)
        super().__init__(python, "sglang-bootstrap", logs, [HERE / "bootstrap.py", port], port, environment)
        self.bootstrap = self.url
