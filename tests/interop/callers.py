"""Users of a language server: chats with photos, several at a time, while encoders come and go."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.interop.asking import image, text
from tests.interop.sglang_process import LanguageServer

POOL = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata: {{name: photos}}
spec:
  model: {{path: {model}, dtype: bfloat16}}
  replicas: 2
  resources: {{cpus: 1}}
  cache: {{size: 0}}
"""


def pool_of_two(folder: Path, model: Path) -> Path:
    """A pool file for `up`. Nothing is cached: every request is work."""
    file = folder / "pool.yaml"
    file.write_text(POOL.format(model=model))
    return file


@dataclass(frozen=True)
class Answer:
    """HTTP status and body of one chat, and when it came."""

    status: int
    body: Any
    at: float


class Callers:
    """Chats with a photo, several at a time, one after the other; what became of each."""

    def __init__(self, server: LanguageServer, photos: Sequence[Path], count: int) -> None:
        self._server = server
        self._contents = itertools.cycle([[image(each), text("What is this?")] for each in photos])
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.answers: list[Answer] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]

    def _call(self) -> None:
        while not self._over.is_set():
            with self._lock:
                content = next(self._contents)
            status, body = self._server.chat(content, tokens=2)
            self.answers.append(Answer(status, body, time.monotonic()))

    @property
    def lost(self) -> list[Answer]:
        return [each for each in self.answers if each.status != 200]

    def wait_for_more(self, count: int) -> None:
        """Until so many more were answered."""
        deadline, enough = time.monotonic() + 300, len(self.answers) + count
        while len(self.answers) < enough:
            assert time.monotonic() < deadline, f"{len(self.answers)} answers"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


def wait_for_encoders(server: LanguageServer, urls: set[str]) -> None:
    """Until its list has exactly these."""
    deadline = time.monotonic() + 60
    while (listed := set(server.encoders)) != urls:
        assert time.monotonic() < deadline, (listed, urls)
        time.sleep(0.05)
