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
Notice = Callable[[], Frames]
"""Makes what a client that is given up gets in a message's place."""

RETRY_SECONDS = 0.01
STUCK_SECONDS = 30.0
MAX_BACKLOG_BYTES = 1 << 30
MAX_TOTAL_BYTES = 2 << 30
"""Of all clients together: they may be many, and each a little slow."""

OVERHEAD_BYTES = 500
"""Of a message, however short."""

MAX_NOTICES = 10_000
"""Kept for a client that was given up."""


@dataclass(slots=True)
class _Backlog:
    """What one client has not taken yet."""

    messages: deque[tuple[Frames, Notice | None]] = field(default_factory=deque)
    bytes: int = 0
    since: float = field(default_factory=time.monotonic)
    given_up: bool = False

    def add(self, frames: Frames, instead: Notice | None) -> None:
        self.messages.append((frames, instead))
        self.bytes += _size(frames)

    def sent(self) -> None:
        """The first message is."""
        self.bytes -= _size(self.messages.popleft()[0])
        self.since = time.monotonic()

    def give_up(self) -> None:
        notices = [instead for _, instead in self.messages if instead is not None]
        self.messages.clear()
        self.bytes, self.given_up = 0, True
        for notice in notices[:MAX_NOTICES]:
            self.add(notice(), None)


class Outbox:
    """Sends on a ROUTER socket, never blocking.

    A message that a client's pipe has no room for waits here, in order. A client that takes nothing for
    `STUCK_SECONDS`, or is behind by `MAX_BACKLOG_BYTES`, is given up; so is the one that is behind most where all
    together are by `MAX_TOTAL_BYTES`. Should it read again, it is told of each answer that it lost.

    Args:
        socket: ROUTER with ROUTER_MANDATORY set.
        gone: Called with a client's identity when it is given up, and whether it is still connected.
    """

    def __init__(self, socket: "zmq.asyncio.Socket", gone: Callable[[bytes, bool], None]) -> None:
        self._socket = socket
        self._gone = gone
        self._backlogs: dict[bytes, _Backlog] = {}
        self._pump: asyncio.Task[None] | None = None

    @property
    def empty(self) -> bool:
        """Everything was handed to ZeroMQ, but for clients that were given up."""
        return all(each.given_up for each in self._backlogs.values())

    def send(self, peer: bytes, frames: Frames, instead: Notice | None = None) -> bool:
        """Send now or as soon as there is room.

        Args:
            peer: Identity of the client.
            frames: The message.
            instead: Makes what the client gets in its place where it is given up: a few bytes. None: nothing.

        Returns:
            False where the client is gone or given up.
        """
        backlog = self._backlogs.get(peer)
        if backlog is None:
            sent = self._try(peer, frames)
            if sent is not None:
                return sent
            backlog = self._backlogs[peer] = _Backlog()
        if backlog.given_up:
            if instead is not None and len(backlog.messages) < MAX_NOTICES:
                backlog.add(instead(), None)
            return False
        backlog.add(frames, instead)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.ensure_future(self._retry())
        self._check_sizes(peer, backlog)
        return not backlog.given_up

    def _check_sizes(self, peer: bytes, backlog: _Backlog) -> None:
        if backlog.bytes > MAX_BACKLOG_BYTES and len(backlog.messages) > 1:  # one reply alone may be that long
            self._give_up(peer, backlog)
        elif len(self._backlogs) > 1 and sum(each.bytes for each in self._backlogs.values()) > MAX_TOTAL_BYTES:
            self._give_up(*max(self._backlogs.items(), key=lambda each: each[1].bytes))

    def _give_up(self, peer: bytes, backlog: _Backlog) -> None:
        backlog.give_up()
        self._gone(peer, True)

    def _try(self, peer: bytes, frames: Frames) -> bool | None:
        """True: handed over. False: no such client. None: no room."""
        future = self._socket.send_multipart([peer, *frames], flags=zmq.DONTWAIT, copy=False)
        assert isinstance(future, asyncio.Future)  # with DONTWAIT it is done already
        error = future.exception()
        if error is None:
            return True
        if isinstance(error, zmq.Again):
            return None
        self._gone(peer, False)
        return False

    async def _retry(self) -> None:
        while self._backlogs:
            await asyncio.sleep(RETRY_SECONDS)
            for peer, backlog in list(self._backlogs.items()):
                self._flush(peer, backlog)

    def _flush(self, peer: bytes, backlog: _Backlog) -> None:
        while backlog.messages:
            sent = self._try(peer, backlog.messages[0][0])
            if sent is None:
                if not backlog.given_up and time.monotonic() - backlog.since > STUCK_SECONDS:
                    self._give_up(peer, backlog)
                return
            if not sent:
                break
            backlog.sent()
        self._backlogs.pop(peer, None)


def _size(frames: Frames) -> int:
    return OVERHEAD_BYTES + sum(len(frame) for frame in frames)
