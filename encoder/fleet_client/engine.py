"""Connects the router to sockets, files and the clock. Lives in one event loop, from its creation to `close`."""

import asyncio
import itertools
import logging
import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import zmq.asyncio

from fleet_client import disk, errors, inbox, media, verdicts
from fleet_client.addresses import split
from fleet_client.calls import Call, message
from fleet_client.connection import BROKEN, Connection, Frames
from fleet_client.connections import LINGER_SECONDS, Connections
from fleet_client.disk import Disk
from fleet_client.endpoint import Phase
from fleet_client.jobs import Abandon, Action, Fail, Greet, Job, Part, Send
from fleet_client.lookup import Lookup, look_up
from fleet_client.names import Names
from fleet_client.protocol import Cancel, Hello, Load, Welcome, pack
from fleet_client.routing import Router

_log = logging.getLogger("fleet_client")


class Engine:
    """The moving parts of a client.

    Args:
        addresses: Of the encoders, normalised.
        name: Of the client, for the encoders' logs.
        lookup: Of hosts.

    Raises:
        ValueError: libzmq does not accept an address.
        OSError: This process may not have sockets enough; says what to raise.
    """

    def __init__(self, addresses: Iterable[str], name: str, lookup: Lookup = look_up) -> None:
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
        self._garbling: set[str] = set()
        numeric = [address for address in self._router.endpoints if split(address) is None]
        named = len(self._router.endpoints) - len(numeric)
        self._connections = Connections(numeric, named, self._connect)
        self._names = Names(self._router.endpoints, self._meet, self._connected, lookup)
        self._meet(self._names.addresses, self._names.problems)

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
                    known = {each.address: each.welcome for each in self._router.staying if each.welcome}
                    if known:
                        return known
                    if all(each.phase is Phase.MISMATCHED for each in self._router.staying):
                        raise verdicts.unreachable(self._router.staying)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise verdicts.unreachable(self._router.staying) from None
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
        tasks = self._disk.close() + self._names.close()
        tasks += self._connections.close(LINGER_SECONDS if goodbyes else 0.0)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connections.term()

    # From the sockets to the router.

    def _connect(self, context: zmq.asyncio.Context, address: str) -> Connection:
        def told(event: Callable[[float], None]) -> None:
            event(monotonic())
            self._news.set()
            self._soon()

        return Connection(
            context,
            address,
            on_up=lambda: told(lambda now: self._router.connected(address, now)),
            on_down=lambda problem: told(lambda now: self._router.lost(address, problem, now)),
            on_message=lambda frames: told(lambda now: self._read(address, frames, now)),
        )

    def _connected(self, address: str) -> bool:
        endpoint = self._router.endpoints.get(address)
        return endpoint is not None and endpoint.connected

    def _meet(self, addresses: Sequence[str], unresolved: Mapping[str, str]) -> None:
        """The encoders are these, among them names that stand for none, with what is wrong with them."""
        now = monotonic()
        self._router.meet(addresses, now)
        missed = self._connections.meet(address for address in addresses if address not in unresolved)
        for address, problem in {**unresolved, **missed}.items():
            self._router.lost(address, problem, now)
        self._news.set()
        self._soon()

    def _read(self, address: str, frames: Frames, now: float) -> None:
        match inbox.read([frame.buffer for frame in frames]):
            case inbox.Answer() as answer:
                self._answered(address, answer, now)
            case Load() as load:
                self._router.loaded(address, load, now)
            case Welcome() as welcome:
                self._garbling.discard(address)
                self._router.welcomed(address, welcome, now)
                self._compare_models()
            case inbox.OtherVersion(version, server):
                self._router.mismatched(address, version, server)
            case inbox.Garbage(problem):
                if address not in self._garbling:  # once: it is asked again and again
                    _log.warning("%s: %s", address, problem)
                self._garbling.add(address)
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
        welcomes = [each.welcome for each in self._router.staying if each.welcome and each.welcome.fingerprint]
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
                self._connections.send(address, [pack(Hello(client=self._name))])
            case Abandon(address, item):
                self._connections.send(address, [pack(Cancel(id=item))])
            case Part(address):
                self._connections.part(address)
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
            frames = message(call, source, monotonic())
        except Exception as error:  # whatever a caller's value makes the packing stumble over: other items go on
            self._measured(call.id, errors.Invalid(f"the item cannot be sent: {error}"))
            return
        if not self._connections.send(address, frames):
            self._router.lost(address, BROKEN, monotonic())
            self._soon()

    def _finish(self, item: str, outcome: inbox.Answer | errors.EncodeError) -> None:
        call = self._calls.pop(item, None)
        if call is not None and not call.done.done():
            call.ended = monotonic()
            call.done.set_result(outcome)
