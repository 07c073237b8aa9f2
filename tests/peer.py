"""A caller that speaks the native protocol by hand: what the client library hides, tests must be able to say."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from fleet_client import protocol
from fleet_client.protocol import Encode, Item, Load, Result, Sampling, Welcome

REPLY_SECONDS = 90


class Peer:
    """One DEALER socket, blocking. `slow`: one that takes hardly anything until it is asked for."""

    def __init__(self, endpoint: str, *, slow: bool = False) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        self.socket.setsockopt(zmq.RCVTIMEO, REPLY_SECONDS * 1000)
        if slow:
            self.socket.setsockopt(zmq.RCVHWM, 1)
            self.socket.setsockopt(zmq.RCVBUF, 4096)
        self.socket.connect(endpoint)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.context.term()

    def send(self, message: protocol.ClientMessage, *frames: bytes) -> None:
        self.socket.send_multipart([protocol.pack(message), *frames])

    def receive(self) -> tuple[protocol.ServerMessage, list[bytes]]:
        header, *frames = self.socket.recv_multipart()
        return protocol.unpack_from_server(header), frames

    def result(self) -> tuple[Result, np.ndarray[Any, Any] | None]:
        """The next result; load reports are passed over."""
        while True:
            message, frames = self.receive()
            if isinstance(message, Result):
                rows = None
                if message.tensor is not None:
                    dtype = np.dtype(message.tensor.dtype)
                    rows = np.frombuffer(frames[message.tensor.frame], dtype).reshape(message.tensor.shape)
                return message, rows
            assert isinstance(message, Load)

    def hello(self) -> Welcome:
        self.send(protocol.Hello(client="test"))
        message, _ = self.receive()
        assert isinstance(message, Welcome)
        return message

    def encode(
        self,
        media: Iterable[tuple[str, bytes | Path | str]],
        *,
        request: str = "r1",
        timeout_ms: int | None = None,
        sampling: Sampling | None = None,
    ) -> int:
        """Send one request; returns its item count. Media: bytes, a file's path, or an URL."""
        items, frames = [], []
        for modality, source in media:
            video = sampling if modality == "video" else None
            if isinstance(source, str):
                items.append(Item(modality=modality, url=source, sampling=video))  # type: ignore[arg-type]
                continue
            items.append(Item(modality=modality, frame=len(frames), sampling=video))  # type: ignore[arg-type]
            frames.append(source.read_bytes() if isinstance(source, Path) else source)
        self.send(Encode(id=request, items=items, timeout_ms=timeout_ms), *frames)
        return len(items)

    def results(self, count: int) -> dict[tuple[str, int], tuple[Result, np.ndarray[Any, Any] | None]]:
        """`count` results by (request, index), in whatever order they come."""
        found = {}
        for _ in range(count):
            result, rows = self.result()
            assert (result.id, result.index) not in found
            found[result.id, result.index] = (result, rows)
        return found

    def ask(
        self, media: Iterable[tuple[str, bytes | Path | str]], **options: Any
    ) -> dict[int, tuple[Result, np.ndarray[Any, Any] | None]]:
        """Send one request and wait for all of it: results by index."""
        count = self.encode(media, **options)
        return {index: value for (_, index), value in self.results(count).items()}


def unique_jpeg(photo: Path, number: int) -> bytes:
    """The same photo with other bytes behind its end marker: same pixels, a content hash like no other call's."""
    return photo.read_bytes() + number.to_bytes(8, "little") + os.urandom(8)
