"""What is asked of a language server, and of SGLang's receiver."""

import base64
import json
import mimetypes
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.interop.sglang_process import HERE, TO_TOKENIZER

Part = dict[str, Any]
Request = dict[str, Any]


def text(words: str) -> Part:
    """A piece of a chat message."""
    return {"type": "text", "text": words}


def image(path: Path) -> Part:
    """A picture, sent along."""
    return {"type": "image_url", "image_url": {"url": data_uri(path)}}


def video(path: Path) -> Part:
    """A film, sent along."""
    return {"type": "video_url", "video_url": {"url": data_uri(path)}}


def data_uri(path: Path) -> str:
    """A file as a `data:` URL."""
    kind, _ = mimetypes.guess_type(path)
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def receive(
    python: Path,
    encoders: Sequence[str],
    requests: Sequence[Request],
    *,
    backend: str = TO_TOKENIZER,
    model: Path | None = None,
    concurrency: int = 1,
    save: Path | None = None,
) -> list[dict[str, Any]]:
    """What SGLang's own receiver gets from `encoders`, one answer a request; see `receiver.py`. Starts in 15 s."""
    command = [python, "-W", "ignore", "-P", HERE / "receiver.py", "--backend", backend, "--concurrency", concurrency]
    for url in encoders:
        command += ["--encoder-url", url]
    if model is not None:
        command += ["--model", model]
    if save is not None:
        command += ["--save", save]
    done = subprocess.run(
        [str(each) for each in command], input=json.dumps(list(requests)), capture_output=True, text=True, timeout=600
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == len(requests), done.stderr[-5000:]
    return sorted(answers, key=lambda answer: int(answer["number"]))
