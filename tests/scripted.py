"""An encoder that behaves as a test tells it: a real ROUTER on a thread, which speaks (or breaks) the protocol."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import zmq

from fleet_client import protocol
from fleet_client.protocol import Encode, Hello, Meta, Result, Status, Tensor, Welcome

Message = Sequence[Any]
"""Frames: a header and what belongs to it."""

Script = Callable[[Encode, list[bytes]], Sequence[Message]]
"""What to send back for a request."""


def welcome(**changes: Any) -> Welcome:
    """Of an encoder that serves everything."""
    values: dict[str, Any] = {
        "version": protocol.VERSION,
        "server": "scripted",
        "replica": "scripted-0",
        "model": "tiny",
        "family": "none",
        "fingerprint": "f",
        "modalities": ["image", "video", "audio"],
        "dim": 4,
        "dtype": "float32",
        "max_item_bytes": 1 << 20,
        "max_pending_patches": 1 << 18,
        "ready": True,
    }
    return Welcome(**{**values, **changes})


def ok(request: str, rows: np.ndarray[Any, Any], *, dtype: str = "", **changes: Any) -> Message:
    """The answer with an embedding; `dtype` where numpy's name for it differs."""
    values: dict[str, Any] = {
        "id": request,
        "index": 0,
        "status": Status.OK,
        "tensor": Tensor(frame=0, dtype=dtype or str(rows.dtype), shape=list(rows.shape)),
        "meta": Meta(tokens=len(rows), patches=4 * len(rows)),
        "stage_ms": {"forward": 1.0},
    }
    return [protocol.pack(Result(**{**values, **changes})), rows.tobytes()]


def no(request: str, status: Status, message: str = "", **changes: Any) -> Message:
    """The answer without one."""
    return [protocol.pack(Result(id=request, index=0, status=status, message=message, **changes))]


def echo(request: Encode, frames: list[bytes]) -> Sequence[Message]:
    """One row of four: the media's bytes, as numbers."""
    return [ok(request.id, np.frombuffer(frames[0][:4].ljust(4, b"\0"), np.uint8).astype(np.float32).reshape(1, 4))]


def nothing(request: Encode, frames: list[bytes]) -> Sequence[Message]:
    """No answer at all."""
    return []


class ScriptedEncoder:
    """Answers Hello by `greeting` and Encode as `script` says, until it dies.

    Attributes:
        endpoint: Where it listens.
        heard: Every message that came, in order.
    """

    def __init__(
        self, script: Script = echo, *, greeting: Welcome | bytes | None = None, endpoint: str = "tcp://127.0.0.1:0"
    ) -> None:
        self.script = script
        self.greeting = welcome() if greeting is None else greeting
        self.heard: list[protocol.ClientMessage] = []
        self._changed = threading.Condition()
        self._dying = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(endpoint)
        self.endpoint = str(self._socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")
        self._thread = threading.Thread(target=self._serve, name="scripted")
        self._thread.start()

    def __enter__(self) -> "ScriptedEncoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def die(self) -> None:
        """Close all connections, as the end of a process does."""
        self._dying.set()
        self._thread.join()
        self._socket.close(0)
        self._context.term()

    def encodes(self) -> list[Encode]:
        """The requests that came."""
        with self._changed:
            return [message for message in self.heard if isinstance(message, Encode)]

    def wait_for(self, kind: type, count: int = 1) -> None:
        """Until `count` messages of a kind came."""

        def enough() -> bool:
            return sum(isinstance(message, kind) for message in self.heard) >= count

        with self._changed:
            assert self._changed.wait_for(enough, 30), self.heard

    def _serve(self) -> None:
        while not self._dying.is_set():
            if not self._socket.poll(10):
                continue
            peer, header, *frames = self._socket.recv_multipart()
            message = protocol.unpack_from_client(header)
            with self._changed:
                self.heard.append(message)
                self._changed.notify_all()
            answers: Sequence[Message] = []
            if isinstance(message, Hello):
                answers = [[self.greeting if isinstance(self.greeting, bytes) else protocol.pack(self.greeting)]]
            elif isinstance(message, Encode):
                answers = self.script(message, frames)
            for answer in answers:
                self._socket.send_multipart([peer, *answer])
