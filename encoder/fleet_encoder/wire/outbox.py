"""Sending without waiting: a client that does not read delays nobody but itself."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio

Frames = Sequence[Any]

RETRY_SECONDS = 0.01
STUCK_SECONDS = 30.0
MAX_BACKLOG_BYTES = 1 << 30
MAX_TOTAL_BYTES = 2 << 30
"""Of all clients together: they may be many, and each a little slow."""


@dataclass(slots=True)
class _Backlog:
    """What one client has not taken yet."""

    messages: deque[Frames] = field(default_factory=deque)
    bytes: int = 0
    since: float = field(default_factory=time.monotonic)


class Outbox:
    """Sends on a ROUTER socket, never blocking.

    A message that a client's pipe has no room for waits here, in order. A client that takes nothing for
    `STUCK_SECONDS`, or is behind by `MAX_BACKLOG_BYTES`, or is no longer connected, is given up; so is the one that is
    behind most where all together are by `MAX_TOTAL_BYTES`.

    Args:
        socket: ROUTER with ROUTER_MANDATORY set.
        gone: Called with a client's identity when it is given up.
    """

    def __init__(self, socket: "zmq.asyncio.Socket", gone: Callable[[bytes], None]) -> None:
        self._socket = socket
        self._gone = gone
        self._backlogs: dict[bytes, _Backlog] = {}
        self._pump: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """Everything was handed to ZeroMQ."""
        return not self._backlogs

    def send(self, peer: bytes, frames: Frames) -> bool:
        """Send now or as soon as there is room. False where the client is gone."""
        backlog = self._backlogs.get(peer)
        if backlog is None:
            sent = self._try(peer, frames)
            if sent is not None:
                return sent
            backlog = self._backlogs[peer] = _Backlog()
        backlog.messages.append(frames)
        backlog.bytes += sum(len(frame) for frame in frames)
        if backlog.bytes > MAX_BACKLOG_BYTES and len(backlog.messages) > 1:  # one reply alone may be that long
            self._drop(peer)
            return False
        if sum(each.bytes for each in self._backlogs.values()) > MAX_TOTAL_BYTES and len(self._backlogs) > 1:
            slowest = max(self._backlogs, key=lambda each: self._backlogs[each].bytes)
            self._drop(slowest)
            if slowest == peer:
                return False
        if self._pump is None or self._pump.done():
            self._pump = asyncio.ensure_future(self._retry())
        return True

    def forget(self, peer: bytes) -> None:
        """Drop what waits for `peer`."""
        self._backlogs.pop(peer, None)

    def _drop(self, peer: bytes) -> None:
        self.forget(peer)
        self._gone(peer)

    def _try(self, peer: bytes, frames: Frames) -> bool | None:
        """True: handed over. False: no such client. None: no room."""
        future = self._socket.send_multipart([peer, *frames], flags=zmq.DONTWAIT, copy=False)
        assert isinstance(future, asyncio.Future)  # with DONTWAIT it is done already
        error = future.exception()
        if error is None:
            return True
        if isinstance(error, zmq.Again):
            return None
        self._gone(peer)
        return False

    async def _retry(self) -> None:
        while self._backlogs:
            await asyncio.sleep(RETRY_SECONDS)
            for peer, backlog in list(self._backlogs.items()):
                self._flush(peer, backlog)

    def _flush(self, peer: bytes, backlog: _Backlog) -> None:
        while backlog.messages:
            sent = self._try(peer, backlog.messages[0])
            if sent is None:
                if time.monotonic() - backlog.since > STUCK_SECONDS:
                    self._drop(peer)
                return
            if not sent:
                self.forget(peer)
                return
            frames = backlog.messages.popleft()
            backlog.bytes -= sum(len(frame) for frame in frames)
            backlog.since = time.monotonic()
        self.forget(peer)
