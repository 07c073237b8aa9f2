"""Pushes embeddings to language servers: one ZMQ PUSH socket for each of their PULL sockets.

Each delivery waits for its own peer and for nobody else's. A peer that cannot be connected to, or does not take what it
asked for, costs its own request a timeout.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio

from fleet_encoder.errors import ReceiverUnreachable

CONNECT_SECONDS = 10.0
"""To reach a language server that has just asked: its socket is bound already."""

IDLE_SECONDS = 60.0
MAX_SOCKETS = 65_536


@dataclass(slots=True)
class _Peer:
    socket: "zmq.asyncio.Socket"
    sending: int = 0
    last: float = field(default_factory=time.monotonic)


class Push:
    """All deliveries of one encoder. Used on the event loop.

    Args:
        linger_seconds: How long what was handed to ZMQ may take to leave after its socket is closed.
    """

    def __init__(self, linger_seconds: float) -> None:
        self._linger = round(1000 * linger_seconds)
        self._context = zmq.asyncio.Context()
        self._context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        self._peers: dict[str, _Peer] = {}
        self.sending = 0

    async def send(self, endpoint: str, frames: Sequence[Any], *, keep: bool) -> None:
        """Hand `frames` to ZMQ, once there is a connection to `endpoint`.

        Args:
            endpoint: Of a PULL socket.
            frames: The message; they must not change afterwards.
            keep: More will go there: the connection stays until it is idle for a while.

        Raises:
            ReceiverUnreachable: There is no connection in time.
        """
        peer = self._peers.get(endpoint)
        if peer is None:
            peer = self._peers[endpoint] = _Peer(self._connect(endpoint))
        peer.sending += 1
        self.sending += 1
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await peer.socket.send_multipart(frames, copy=False)
        except TimeoutError:
            keep = False
            raise ReceiverUnreachable(
                f"the language server's socket for embeddings, {endpoint}, took no connection in "
                f"{CONNECT_SECONDS:.0f} s: check SGLANG_HOST_IP there, and network policies between the two"
            ) from None
        finally:
            self.sending -= 1
            peer.sending -= 1
            peer.last = time.monotonic()
            if not keep and not peer.sending and self._peers.get(endpoint) is peer:
                self._drop(endpoint)

    def close_idle(self) -> None:
        """Called now and then: connections that nothing went over for a while."""
        before = time.monotonic() - IDLE_SECONDS
        for endpoint, peer in list(self._peers.items()):
            if not peer.sending and peer.last < before:
                self._drop(endpoint)

    async def stop(self, seconds: float) -> None:
        """Close all; what was handed to ZMQ has so long to leave."""
        for endpoint in list(self._peers):
            self._drop(endpoint)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self._context.term)
        except TimeoutError:
            pass  # the process ends anyway: what nobody takes is lost with it

    def _connect(self, endpoint: str) -> "zmq.asyncio.Socket":
        socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.LINGER, self._linger)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # a message goes to a connection, never to the hope of one
        socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        socket.connect(endpoint)
        return socket

    def _drop(self, endpoint: str) -> None:
        self._peers.pop(endpoint).socket.close()
