"""Pushes embeddings to language servers: one ZMQ PUSH socket for each of their PULL sockets.

Each delivery waits for its own peer and for nobody else's. A peer that cannot be connected to, or does not take what it
asked for, costs its own request a timeout.
"""

import asyncio
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

import zmq
import zmq.asyncio
from cachetools import TTLCache

from fleet_encoder.errors import ReceiverUnreachable

CONNECT_SECONDS = 10.0
"""To reach a language server that has just asked: its socket is bound already."""

IDLE_SECONDS = 60.0
MAX_SOCKETS = 65_536
NAME_THREADS = 4
"""That look names up. A name server that does not answer holds up those that are given by name, and nobody else."""

NAMES, NAME_SECONDS = 1024, 30.0
"""Remembered, and for how long."""

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
        self._lookups = ThreadPoolExecutor(NAME_THREADS, thread_name_prefix="names")
        self._names: TTLCache[str, str] = TTLCache(NAMES, NAME_SECONDS)

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
        self._lookups.shutdown(wait=False, cancel_futures=True)
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
                await _until_left(tracker)
        except TimeoutError:
            raise ReceiverUnreachable(
                f"the language server did not take its embedding from {endpoint} in {self._send_seconds:.0f} s "
                "(SGLANG_ENCODER_SEND_TIMEOUT): does it still run?"
            ) from None

    async def _peer(self, endpoint: str) -> _Peer:
        """Names are looked up here: ZMQ would do so in the thread that all its connections share."""
        if endpoint not in self._peers:
            address = await self._numeric(endpoint)
            if endpoint not in self._peers:
                self._peers[endpoint] = _Peer(self._connect(address))
        return self._peers[endpoint]

    async def _numeric(self, endpoint: str) -> str:
        """`endpoint` with an IP address in place of a name.

        Raises:
            ReceiverUnreachable: There is none.
        """
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        address = self._names.get(host) or _literal(host) or await self._looked_up(host)
        return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"

    async def _looked_up(self, host: str) -> str:
        look = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await asyncio.get_running_loop().run_in_executor(self._lookups, look)
        except (OSError, TimeoutError):
            raise ReceiverUnreachable(
                f"the language server's host {host} has no address here: set SGLANG_HOST_IP there to an IP address"
            ) from None
        address = self._names[host] = str(found[0][4][0])
        return address

    def _connect(self, address: str) -> "zmq.asyncio.Socket":
        try:
            opened = self._context.socket(zmq.PUSH)
        except zmq.ZMQError as error:  # no descriptor, or too many sockets
            raise ReceiverUnreachable(f"no socket to send to {address}: {error.strerror}") from None
        opened.setsockopt(zmq.LINGER, round(1000 * self._send_seconds))
        opened.setsockopt(zmq.SNDHWM, 0)
        opened.setsockopt(zmq.IMMEDIATE, 1)  # a message goes to a connection, never to the hope of one
        opened.setsockopt(zmq.IPV6, int("[" in address))
        opened.copy_threshold = 0  # what is copied counts as left, and is not
        try:
            opened.connect(address)
        except zmq.ZMQError as error:
            opened.close(linger=0)
            raise ReceiverUnreachable(f"{address}: {error.strerror}") from None
        return opened


def _close(peer: _Peer, *, lost: bool) -> None:
    """What has left, is with the kernel; what is lost, is not tried any longer."""
    peer.socket.close(linger=0 if lost else None)


async def _until_left(tracker: "zmq.MessageTracker | None") -> None:
    pause = FIRST_LOOK_SECONDS
    while tracker is not None and not tracker.done:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_LOOK_SECONDS)


def _literal(host: str) -> str:
    """The address that `host` is; empty where it is a name."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return ""
