"""Connects the router to sockets, files and the clock. Lives in one event loop, from its creation to `close`."""

import asyncio
import itertools
import logging
import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

import zmq

from fleet_client import disk, errors, inbox, media, verdicts
from fleet_client.connection import BROKEN, UNRESOLVED, Connection, Frames, context_for, no_sockets
from fleet_client.disk import Disk
from fleet_client.endpoint import Endpoint, Phase
from fleet_client.jobs import Abandon, Action, Fail, Greet, Job, Part, Send
from fleet_client.names import Names, split
from fleet_client.protocol import Cancel, Encode, Hello, Item, Load, Welcome, pack
from fleet_client.routing import Router

LINGER_SECONDS = 0.25
"""How long a closing client waits for its last Cancels to leave."""

MAX_TIMEOUT_SECONDS = 24 * 3600
"""Encoders refuse longer ones; the client keeps its deadline itself, however long."""

MAX_OF_A_NAME = 1024
"""Encoders that a name stands for; room for their sockets costs nothing until they are made."""

_log = logging.getLogger("fleet_client")


@dataclass(slots=True, eq=False)
class Call:
    """One item that somebody waits for.

    Attributes:
        done: Resolves to the answer, or to the exception as a value.
        ended: When it did.
        endpoint: The encoder that answered.
        attempts: How often the item was sent.
    """

    id: str
    item: media.Media
    deadline: float
    started: float
    done: asyncio.Future[inbox.Answer | errors.EncodeError]
    ended: float = 0.0
    endpoint: str = ""
    attempts: int = 0


class Engine:
    """The moving parts of a client.

    Args:
        addresses: Of the encoders, normalised.
        name: Of the client, for the encoders' logs.

    Raises:
        ValueError: libzmq does not accept an address.
        OSError: This process may not have sockets enough; says what to raise.
    """

    def __init__(self, addresses: Iterable[str], name: str) -> None:
        self.loop = asyncio.get_running_loop()
        self._name = name
        self._router = Router(addresses, monotonic())
        self._calls: dict[str, Call] = {}
        self._reading: set[str] = set()
        self._disk = Disk()
        self._news = asyncio.Event()
        self._next: asyncio.Handle | None = None
        self._closed = False
        self._warned = False
        numeric = [address for address in self._router.endpoints if split(address) is None]
        named = len(self._router.endpoints) - len(numeric)
        self._context = context_for(len(numeric) + MAX_OF_A_NAME * named)
        self._connections: dict[str, Connection] = {}
        self._ended: list[asyncio.Task[None]] = []
        try:
            for address in numeric:
                self._connections[address] = self._connect(address)
        except (ValueError, zmq.ZMQError) as error:
            for connection in self._connections.values():
                connection.close(0.0)
            self._context.destroy(0)
            if isinstance(error, zmq.ZMQError):
                raise no_sockets(len(numeric), error) from error
            raise
        self._names = Names(self._router.endpoints, self._meet, self._unresolved)

    # For callers.

    def submit(self, items: Sequence[media.Media], timeout: float) -> list[Call]:
        """Take `items`, to be done in `timeout` seconds."""
        now = monotonic()
        request = secrets.token_hex(8)
        calls = [
            Call(f"{request}-{index}", item, now + timeout, now, self.loop.create_future())
            for index, item in enumerate(items)
        ]
        for call in calls:
            self._calls[call.id] = call
            self._router.submit(Job(call.id, call.item.modality, 0, call.deadline), measured=False)
            if not isinstance(call.item.source, Path):
                self._measured(call.id, disk.size(call.item))
        files = [(call.id, call.item) for call in calls if isinstance(call.item.source, Path)]
        self._disk.measure(files, self._measured)
        self._soon()
        return calls

    def drop(self, calls: Iterable[Call]) -> None:
        """Nobody waits for `calls` any more; those that are done do not mind."""
        for call in calls:
            if self._calls.pop(call.id, None) is not None:
                self._router.cancel(call.id)
        self._soon()

    async def hello(self, timeout: float) -> dict[str, Welcome]:
        """See `AsyncClient.hello`."""
        try:
            async with asyncio.timeout(timeout):
                while not self._closed:
                    known = {each.address: each.welcome for each in self._endpoints if each.welcome is not None}
                    if known:
                        return known
                    if all(each.phase is Phase.MISMATCHED for each in self._endpoints):
                        raise verdicts.unreachable(self._endpoints)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise verdicts.unreachable(self._endpoints) from None
        raise errors.ClientClosed("the client was closed meanwhile: make a new one")

    async def close(self) -> None:
        """Fail what is not done, tell the encoders, close the sockets."""
        self._closed = True
        self._news.set()
        if self._next is not None:
            self._next.cancel()
        for item in [*self._calls]:
            self._router.cancel(item)
            self._finish(item, errors.Cancelled("the client was closed"))
        goodbyes = [action for action in self._router.decide(monotonic()) if isinstance(action, Abandon)]
        for action in goodbyes:
            self._act(action)
        tasks = self._disk.close() + self._names.close() + self._ended
        for connection in self._connections.values():
            tasks += connection.close(LINGER_SECONDS if goodbyes else 0.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await asyncio.to_thread(self._context.term)
        except RuntimeError:  # the interpreter is going down: no more threads
            self._context.term()

    # From the sockets to the router.

    @property
    def _endpoints(self) -> list[Endpoint]:
        return [*self._router.endpoints.values()]

    def _connect(self, address: str) -> Connection:
        def told(event: Callable[[float], None]) -> None:
            event(monotonic())
            self._news.set()
            self._soon()

        return Connection(
            self._context,
            address,
            on_up=lambda: told(lambda now: self._router.connected(address, now)),
            on_down=lambda problem: told(lambda now: self._router.lost(address, problem, now)),
            on_message=lambda frames: told(lambda now: self._read(address, frames, now)),
        )

    def _meet(self, addresses: list[str]) -> None:
        """Names have these addresses now."""
        for address in [each for each in addresses if each not in self._connections and split(each) is None]:
            try:
                self._connections[address] = self._connect(address)
            except (ValueError, zmq.ZMQError) as error:
                why = no_sockets(len(addresses), error) if isinstance(error, zmq.ZMQError) else error
                _log.warning("%s is left out: %s", address, why)
                addresses.remove(address)
        self._router.meet(addresses, monotonic())
        self._soon()

    def _unresolved(self, address: str) -> None:
        self._router.lost(address, UNRESOLVED, monotonic())
        self._news.set()
        self._soon()

    def _read(self, address: str, frames: Frames, now: float) -> None:
        match inbox.read([frame.buffer for frame in frames]):
            case inbox.Answer() as answer:
                self._answered(address, answer, now)
            case Load() as load:
                self._router.loaded(address, load, now)
            case Welcome() as welcome:
                self._router.welcomed(address, welcome, now)
                self._compare_models()
            case inbox.OtherVersion(version, server):
                self._router.mismatched(address, version, server)
            case inbox.Garbage(problem):
                _log.warning("%s: %s", address, problem)
                self._router.garbled(address, problem, now)

    def _answered(self, address: str, answer: inbox.Answer, now: float) -> None:
        job = self._router.jobs.get(answer.result.id)
        if self._router.answered(address, answer.result, now) and job is not None:
            call = self._calls[job.id]
            call.endpoint, call.attempts = address, job.attempts
            self._finish(job.id, answer)

    def _compare_models(self) -> None:
        """A model that differs between encoders gives embeddings that do not fit each other."""
        # An encoder that still reads its weights does not know their fingerprint yet.
        welcomes = [each.welcome for each in self._endpoints if each.welcome is not None and each.welcome.fingerprint]
        for one, other in itertools.pairwise(welcomes):
            differs = one.fingerprint != other.fingerprint and set(one.modalities) & set(other.modalities)
            if differs and not self._warned:
                self._warned = True
                _log.warning(
                    "the encoders serve different models: %s has %s (%s), %s has %s (%s)",
                    *(one.replica, one.model, one.fingerprint, other.replica, other.model, other.fingerprint),
                )

    # From the router to the sockets.

    def _soon(self) -> None:
        """Let the router decide, once, after all that is happening now."""
        if not self._closed:
            if self._next is not None:
                self._next.cancel()
            self._next = self.loop.call_soon(self._decide)

    def _decide(self) -> None:
        if self._closed:
            return
        while actions := self._router.decide(monotonic()):
            for action in actions:
                self._act(action)
        if self._next is not None:
            self._next.cancel()  # set by an action that failed: what it asked for is done
        now = monotonic()
        wake_at = self._router.wake_at(now)
        self._next = None if wake_at == math.inf else self.loop.call_later(max(0.0, wake_at - now), self._decide)

    def _act(self, action: Action) -> None:
        match action:
            case Greet(address):
                self._connections[address].send([pack(Hello(client=self._name))])
            case Abandon(address, item):
                if address in self._connections:  # else it has parted
                    self._connections[address].send([pack(Cancel(id=item))])
            case Part(address):
                if address in self._connections:  # else it was a name
                    self._ended += self._connections.pop(address).close(0.0)
            case Fail(item, error):
                self._finish(item, verdicts.unread() if item in self._reading else error)
            case Send(address, item, attempt):
                call = self._calls[item]
                if isinstance(call.item.source, Path):
                    # Read when an encoder has room for it, and again for another encoder.
                    self._reading.add(item)
                    self._disk.read(call.item.source, partial(self._read_to_send, call, address, attempt))
                else:
                    self._send(call, call.item.source, address)

    def _measured(self, item: str, size: int | errors.Invalid) -> None:
        if isinstance(size, int):
            self._router.measured(item, size)
        else:
            self._router.cancel(item)
            self._finish(item, size)
        self._soon()

    def _read_to_send(self, call: Call, address: str, attempt: int, content: bytes | errors.Invalid) -> None:
        self._reading.discard(call.id)
        job = self._router.jobs.get(call.id)
        if isinstance(content, errors.Invalid):
            self._measured(call.id, content)
        elif job is not None and (job.endpoint, job.attempts) == (address, attempt):
            self._send(call, content, address)

    def _send(self, call: Call, source: media.Buffer | str, address: str) -> None:
        try:
            frames = self._message(call, source)
        except Exception as error:  # whatever a caller's value makes the packing stumble over: other items go on
            self._measured(call.id, errors.Invalid(f"the item cannot be sent: {error}"))
            return
        if not self._connections[address].send(frames):
            self._router.lost(address, BROKEN, monotonic())
            self._soon()

    def _message(self, call: Call, source: media.Buffer | str) -> list[bytes | memoryview]:
        by_url = isinstance(source, str)
        left = call.deadline - monotonic()
        item = Item(
            modality=call.item.modality,
            url=source if isinstance(source, str) else None,
            frame=None if by_url else 0,
            sampling=call.item.sampling,
        )
        timeout_ms = None if left > MAX_TIMEOUT_SECONDS else max(1, math.ceil(left * 1000))
        header = pack(Encode(id=call.id, items=[item], timeout_ms=timeout_ms))
        return [header] if isinstance(source, str) else [header, memoryview(source).cast("B")]

    def _finish(self, item: str, outcome: inbox.Answer | errors.EncodeError) -> None:
        call = self._calls.pop(item, None)
        if call is not None and not call.done.done():
            call.ended = monotonic()
            call.done.set_result(outcome)
