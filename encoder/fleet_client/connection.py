"""One ZMQ connection to one encoder: sends, receives, and tells when it comes up and goes down.

It decides nothing. libzmq reconnects by itself, with backoff.
"""

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import Any

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from fleet_client import keepalive

Frames = list[zmq.Frame]

SILENCE_SECONDS = 60.0
"""For hosts that vanish: a dead process shows at once, by its closed connection, and the router notices silence."""

CONNECT_TIMEOUT_MS = 5_000
HANDSHAKE_TIMEOUT_MS = 10_000
RECONNECT_MS = 100
RECONNECT_MAX_MS = 2_000

DEFAULT_MAX_SOCKETS = 1023
"""Of libzmq."""

SOCKETS_EACH = 3
"""ZMQ sockets of a connection: its own, and both ends of its monitor."""

DESCRIPTORS_EACH = 4
"""File descriptors of a connection: one for each ZMQ socket, and the TCP socket."""

_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_CONNECT_DELAYED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
)

NOT_ZMQ = "something answers there that is no encoder: is it the right port? (encoders listen on 5570, not 8080)"
REFUSED = "is it running?"
UNRESOLVED = "the host is unknown or has no such address"
BROKEN = "the connection broke"


class Connection:
    """A DEALER socket with one peer.

    Args:
        context: Of the client.
        address: `tcp://host:port` or `ipc://path`.
        on_up: Called when the connection stands.
        on_down: Called with the reason when it broke or could not be made; again for each failed try.
        on_message: Called with the frames of each message.

    Raises:
        ValueError: libzmq does not accept the address.
        zmq.ZMQError: There may be no more sockets.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_message: Callable[[Frames], None],
    ) -> None:
        self.address = address
        self._on_up, self._on_down, self._on_message = on_up, on_down, on_message
        self._tasks: list[asyncio.Task[None]] = []
        self._up = self._reached = self._tried = False
        self._socket = context.socket(zmq.DEALER)
        try:
            _configure(self._socket, address)
            self._monitor = self._socket.get_monitor_socket(_EVENTS)
        except zmq.ZMQError:
            self._socket.close(0)
            raise
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close(0.0)
            raise ValueError(f"{address!r} is not an endpoint: {error.strerror}") from error
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._receive())]

    def send(self, frames: Sequence[Any]) -> bool:
        """Hand a message to libzmq, without copying large frames.

        Returns:
            False where there is no connection: the message is dropped, never kept for the next one.
        """
        if self._socket.closed or not self._events() & zmq.POLLOUT:
            return False
        sent = self._socket.send_multipart(frames, zmq.DONTWAIT, copy=False)
        return sent.exception() is None if isinstance(sent, asyncio.Future) else True

    def close(self, linger: float) -> list[asyncio.Task[None]]:
        """Close; what is still unsent has `linger` seconds, which pass in the termination of the context.

        Returns:
            Tasks that were cancelled, for the caller to await.
        """
        for task in self._tasks:
            task.cancel()
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(round(linger * 1000))
        return self._tasks

    def _events(self) -> int:
        # Asking for the events also makes the socket take notice of connections that were just made.
        events = self._socket.get(zmq.EVENTS)
        assert isinstance(events, int)
        return events

    async def _receive(self) -> None:
        while True:
            self._on_message(await self._socket.recv_multipart(copy=False))

    async def _watch(self) -> None:
        while True:
            event = (await recv_monitor_message(self._monitor))["event"]
            if event == zmq.EVENT_CONNECT_DELAYED:
                self._tried = True
            elif event == zmq.EVENT_CONNECTED:
                self._tried = self._reached = True
                self._on_down(NOT_ZMQ)  # unless the handshake succeeds, which takes a moment
            elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._up = True
                self._on_up()
            elif event == zmq.EVENT_DISCONNECTED:
                self._on_down(BROKEN if self._up else NOT_ZMQ)
                self._up = False
            elif event == zmq.EVENT_CONNECT_RETRIED:
                if not self._reached:
                    known = self._tried or self.address.startswith("ipc://")
                    self._on_down(REFUSED if known else UNRESOLVED)
                self._tried = self._reached = False


def _configure(socket: zmq.asyncio.Socket, address: str) -> None:
    options = {
        zmq.IMMEDIATE: 1,  # nothing is queued for a connection that does not stand: it goes elsewhere instead
        zmq.LINGER: 0,
        zmq.SNDHWM: 0,  # the router bounds what is under way
        zmq.RCVHWM: 0,
        **keepalive.options(SILENCE_SECONDS),
        zmq.CONNECT_TIMEOUT: CONNECT_TIMEOUT_MS,
        zmq.HANDSHAKE_IVL: HANDSHAKE_TIMEOUT_MS,
        zmq.RECONNECT_IVL: RECONNECT_MS,
        zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
        zmq.IPV6: int(address.startswith("tcp://[")),
    }
    for option, value in options.items():
        socket.setsockopt(option, value)


def context_for(connections: int) -> zmq.asyncio.Context:
    """A context with sockets enough."""
    context = zmq.asyncio.Context()
    context.set(zmq.MAX_SOCKETS, max(DEFAULT_MAX_SOCKETS, SOCKETS_EACH * connections))
    return context


def no_sockets(connections: int, error: zmq.ZMQError) -> OSError:
    """What to tell where a socket could not be made."""
    if error.errno != errno.EMFILE:
        return OSError(error.errno, f"cannot make sockets for {connections} encoders: {error.strerror}")
    return OSError(
        errno.EMFILE,
        f"{connections} encoders need about {DESCRIPTORS_EACH * connections} file descriptors, more than this process "
        "may have: raise the limit (`ulimit -n`, or LimitNOFILE= of a systemd unit)",
    )
