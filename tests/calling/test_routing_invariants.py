"""Whatever happens in whatever order: every item is in one place, every item ends once."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fleet_client import verdicts
from fleet_client.jobs import Abandon, Fail, Job, Part, Send
from fleet_client.protocol import Load, Meta, Result, Status
from fleet_client.routing import Router
from scripted import welcome

ADDRESSES = ("tcp://a:1", "tcp://b:1", "tcp://c:1")
ENDPOINT = st.sampled_from(ADDRESSES)
LIMIT = st.sampled_from([100, 4000])


class Traffic(RuleBasedStateMachine):
    """A fleet at its worst."""

    def __init__(self) -> None:
        super().__init__()
        self.router = Router(ADDRESSES, 0.0, jitter=lambda: 0.5)
        self.now = 0.0
        self.open: set[str] = set()
        self.ended: set[str] = set()
        self.there: dict[str, list[str]] = {address: [] for address in ADDRESSES}  # what each encoder was sent
        self.count = 0

    @initialize(limits=st.tuples(*[LIMIT] * len(ADDRESSES)))
    def begin(self, limits: tuple[int, ...]) -> None:
        """With a fleet that serves: most of what can go wrong needs work under way."""
        for address, limit in zip(ADDRESSES, limits, strict=True):
            self.serve(address, limit)

    def serve(self, address: str, limit: int) -> None:
        self.connect(address)
        self.router.welcomed(address, welcome(max_item_bytes=limit), self.now)

    def end(self, item: str) -> None:
        assert item in self.open
        self.open.remove(item)
        self.ended.add(item)

    @rule(
        modality=st.sampled_from(["image", "video", "audio"]),
        size=st.sampled_from([0, 50, 2000, 5000]),
        timeout=st.floats(0.1, 100.0),
        at_once=st.booleans(),
    )
    def submit(self, modality: str, size: int, timeout: float, at_once: bool) -> None:
        self.count += 1
        self.open.add(str(self.count))
        self.router.submit(Job(str(self.count), modality, size, self.now + timeout))  # type: ignore[arg-type]
        if at_once:
            self.decide(0.0)

    def connected(self, address: str) -> bool:
        return address in self.router.endpoints and self.router.endpoints[address].connected

    @rule(addresses=st.sets(ENDPOINT))
    def meet(self, addresses: set[str]) -> None:
        self.router.meet(addresses, self.now)
        assert addresses <= self.router.endpoints.keys()

    @rule(address=ENDPOINT)
    def connect(self, address: str) -> None:
        if address in self.router.endpoints:
            self.there[address].clear()
            self.router.connected(address, self.now)

    @rule(address=ENDPOINT)
    def lose(self, address: str) -> None:
        if address in self.router.endpoints:
            self.there[address].clear()
            self.router.lost(address, "gone", self.now)

    @rule(
        address=ENDPOINT,
        ready=st.booleans(),
        limit=LIMIT,
        served=st.sampled_from([["image"], ["image", "video", "audio"]]),
        patches=st.sampled_from([1, 3000, 100_000]),
    )
    def welcome(self, address: str, ready: bool, limit: int, served: list[str], patches: int) -> None:
        if self.connected(address):
            greeting = welcome(ready=ready, max_item_bytes=limit, modalities=served, max_pending_patches=patches)
            self.router.welcomed(address, greeting, self.now)

    @rule(addresses=st.sets(ENDPOINT), limit=LIMIT)
    def come(self, addresses: set[str], limit: int) -> None:
        """The encoders are these now, and the new ones serve at once."""
        new = addresses - self.router.endpoints.keys()
        self.meet(addresses)
        for address in sorted(new):
            self.serve(address, limit)
        self.decide(0.0)

    @rule(address=ENDPOINT, status=st.sampled_from(Status), which=st.integers(0, 100))
    def answer(self, address: str, status: Status, which: int) -> None:
        if self.there[address]:
            item = self.there[address].pop(which % len(self.there[address]))
            meta = Meta(tokens=1, patches=1 + which)
            if self.router.answered(address, Result(id=item, index=0, status=status, meta=meta), self.now):
                assert status is Status.OK
                self.end(item)

    @rule(address=ENDPOINT)
    def garble(self, address: str) -> None:
        if self.connected(address):
            self.router.garbled(address, "noise", self.now)

    @rule(address=ENDPOINT, pending=st.integers(0, 100_000), draining=st.booleans())
    def load(self, address: str, pending: int, draining: bool) -> None:
        if self.connected(address):
            self.router.loaded(address, Load(pending_patches=pending, draining=draining), self.now)

    @rule(which=st.integers(0, 100))
    def cancel(self, which: int) -> None:
        if self.router.jobs:  # not those whose failure is about to be told
            item = sorted(self.router.jobs)[which % len(self.router.jobs)]
            self.router.cancel(item)
            self.end(item)

    @rule(seconds=st.floats(0.0, 15.0))
    def decide(self, seconds: float) -> None:
        self.now += seconds
        actions = self.router.decide(self.now)
        for action in actions:
            if isinstance(action, Send):
                assert action.id in self.open
                assert self.router.endpoints[action.address].connected
                assert not self.router.endpoints[action.address].leaving
                self.there[action.address].append(action.id)
            elif isinstance(action, Fail):
                self.end(action.id)
            elif isinstance(action, Part):
                assert action.address not in self.router.endpoints
                self.there[action.address].clear()
        assert {action.id for action in actions if isinstance(action, Abandon)} <= self.ended
        assert not any(each.leaving and not each.outstanding for each in self.router.endpoints.values())
        staying = [each for each in self.router.endpoints.values() if not each.leaving]
        for job in self.router.jobs.values():
            if job.endpoint is None:  # it does not wait in vain
                assert verdicts.objection_of_all(staying, job.modality, job.size) is None
        assert self.router.decide(self.now) == []  # it does not chase its own tail
        assert self.router.wake_at(self.now) > self.now

    @invariant()
    def every_open_item_is_known_and_in_one_place(self) -> None:
        failing = {action.id for action in self.router._actions if isinstance(action, Fail)}
        assert self.router.jobs.keys() == self.open - failing
        for item, job in self.router.jobs.items():
            holders = [each.address for each in self.router.endpoints.values() if item in each.outstanding]
            if job.endpoint is None:
                assert item in self.router._queue
                assert holders == []
            else:
                assert item not in self.router._queue
                assert holders == [job.endpoint]

    @invariant()
    def the_books_are_right(self) -> None:
        for each in self.router.endpoints.values():
            assert each.bytes == sum(work.bytes for work in each.outstanding.values())
            assert abs(each.mine - sum(work.patches for work in each.outstanding.values())) < 1e-3
            assert set(each.outstanding) <= self.router.jobs.keys()

    @invariant()
    def a_suspect_is_alone(self) -> None:
        for each in self.router.endpoints.values():
            suspects = [item for item in each.outstanding if self.router.jobs[item].suspect]
            assert not suspects or len(each.outstanding) == 1
            assert each.alone == bool(suspects)

    @invariant()
    def only_who_fails_is_left_in_peace(self) -> None:
        for each in self.router.endpoints.values():
            assert each.streak or not each.retry_at


Traffic.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestTraffic = Traffic.TestCase
