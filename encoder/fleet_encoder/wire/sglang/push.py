"""Pushes embeddings to language servers: one ZMQ PUSH socket for each of their PULL sockets.

Each delivery waits for its own peer and for nobody else's. A peer that cannot be connected to, or does not take what it
asked for, costs its own request a timeout. What waits to be taken is bounded: beyond that the oldest is given up.
"""

import asyncio
import socket
import time
from collections import OrderedDict
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
MAX_LEAVING_BYTES = 1 << 30
"""Of embeddings that language servers have asked for and do not take."""

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.0005, 0.05
"""Whether a message has left; libzmq tells it by a flag that only a thread could wait for."""


@dataclass(slots=True)
class _Peer:
    socket: "zmq.asyncio.Socket"
    sending: int = 0
    last: float = field(default_factory=time.monotonic)


class Push:
    """All deliveries of one encoder. Used on the event loop.

    Args:
        send_seconds: How long an embedding may take to leave, once there is a connection.
    """

    def __init__(self, send_seconds: float) -> None:
        self._send_seconds = send_seconds
        self._context = zmq.asyncio.Context()
        self._context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
        self._peers: dict[str, _Peer] = {}
        self._leaving: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self.leaving_bytes = 0

    @property
    def connections(self) -> int:
        """Sockets that are open."""
        return len(self._peers)

    async def send(self, endpoint: str, frames: Sequence[Any], *, keep: bool) -> None:
        """Push `frames`, once there is a connection to `endpoint`, and wait until they have left.

        Args:
            endpoint: Of a PULL socket.
            frames: The message; they must not change afterwards.
            keep: More will go there: the connection stays until it is idle for a while.

        Raises:
            ReceiverUnreachable: There is no connection in time, or the message is not taken.
        """
        peer = await self._peer(endpoint)
        peer.sending += 1
        left = stuck = False
        try:
            await self._push(peer, endpoint, frames)
            left = True
        except ReceiverUnreachable:
            stuck = True  # and so would be what is behind it: this socket is not used again
            raise
        finally:
            peer.sending -= 1
            peer.last = time.monotonic()
            if self._peers.get(endpoint) is peer and (stuck or not (keep or peer.sending)):
                del self._peers[endpoint]
            if self._peers.get(endpoint) is not peer and not peer.sending:
                _close(peer, lost=not left)

    def close_idle(self) -> None:
        """Called now and then: connections that nothing went over for a while."""
        before = time.monotonic() - IDLE_SECONDS
        for endpoint, peer in list(self._peers.items()):
            if not peer.sending and peer.last < before:
                del self._peers[endpoint]
                _close(peer, lost=False)

    async def stop(self, seconds: float) -> None:
        """Close all; what was handed to ZMQ has so long to leave."""
        peers, self._peers = self._peers, {}
        for peer in peers.values():
            peer.socket.close(linger=round(1000 * seconds))
        try:
            async with asyncio.timeout(seconds + 1):
                await asyncio.to_thread(self._context.term)
        except TimeoutError:
            pass  # the process ends anyway: what nobody takes is lost with it

    async def _push(self, peer: _Peer, endpoint: str, frames: Sequence[Any]) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                tracker = await peer.socket.send_multipart(frames, copy=False, track=True)
        except TimeoutError:
            raise ReceiverUnreachable(
                f"the language server's socket for embeddings, {endpoint}, took no connection in "
                f"{CONNECT_SECONDS:.0f} s: check SGLANG_HOST_IP there, and network policies between the two"
            ) from None
        except zmq.ZMQError as error:
            raise ReceiverUnreachable(f"{endpoint}: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._send_seconds):
                await self._until_left(tracker, sum(memoryview(each).nbytes for each in frames))
        except TimeoutError:
            raise ReceiverUnreachable(
                f"the language server did not take its embedding from {endpoint} in {self._send_seconds:.0f} s "
                "(SGLANG_ENCODER_SEND_TIMEOUT): does it still run?"
            ) from None

    async def _until_left(self, tracker: "zmq.MessageTracker | None", size: int) -> None:
        if tracker is None or tracker.done:
            return
        given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving[given_up] = size
        self.leaving_bytes += size
        try:
            self._give_up_the_oldest()
            pause = FIRST_LOOK_SECONDS
            while not tracker.done:
                await asyncio.wait([given_up], timeout=pause)
                if given_up.done():
                    raise ReceiverUnreachable(
                        f"language servers do not take their embeddings: over {MAX_LEAVING_BYTES} bytes wait for them, "
                        "and this one longest: does it still run?"
                    )
                pause = min(2 * pause, LAST_LOOK_SECONDS)
        finally:
            self.leaving_bytes -= self._leaving.pop(given_up)

    def _give_up_the_oldest(self) -> None:
        """So that what stopped servers asked for never fills the memory. One alone may be as large as it is."""
        excess = self.leaving_bytes - MAX_LEAVING_BYTES
        for given_up, size in list(self._leaving.items())[:-1]:
            if excess <= 0:
                return
            excess -= size
            if not given_up.done():
                given_up.set_result(None)

    async def _peer(self, endpoint: str) -> _Peer:
        """Names are looked up here: ZMQ would do so in the thread that all its connections share."""
        if endpoint not in self._peers:
            address = await _numeric(endpoint)
            if endpoint not in self._peers:
                self._peers[endpoint] = _Peer(self._connect(address))
        return self._peers[endpoint]

    def _connect(self, address: str) -> "zmq.asyncio.Socket":
        opened = self._context.socket(zmq.PUSH)
        opened.setsockopt(zmq.LINGER, round(1000 * self._send_seconds))
        opened.setsockopt(zmq.SNDHWM, 0)
        opened.setsockopt(zmq.IMMEDIATE, 1)  # a message goes to a connection, never to the hope of one
        opened.setsockopt(zmq.IPV6, int("[" in address))
        opened.copy_threshold = 0  # what is copied counts as left, and is not
        opened.connect(address)
        return opened


def _close(peer: _Peer, *, lost: bool) -> None:
    """What has left, is with the kernel; what is lost, is not tried any longer."""
    peer.socket.close(linger=0 if lost else None)


async def _numeric(endpoint: str) -> str:
    """`endpoint` with an IP address in place of a name.

    Raises:
        ReceiverUnreachable: There is none.
    """
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        raise ReceiverUnreachable(
            f"the language server's host {host} has no address here: set SGLANG_HOST_IP there to an IP address"
        ) from None
    address = found[0][4][0]
    return f"tcp://[{address}]:{port}" if ":" in str(address) else f"tcp://{address}:{port}"
