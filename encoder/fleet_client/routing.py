"""Which encoder gets which item, and what an answer means. Pure: sockets, clocks and futures are elsewhere.

Events come in through methods, all with the time `now`; `decide` then returns what to do about them, and
`wake_at` when to ask again though nothing happened. An item waits in a queue until an encoder has room:

* The encoder with the least work pending gets it: patches, of all clients as it reported them, else of ours.
* BUSY, DRAINING, INTERNAL, a lost connection, silence: the item goes back to the head of the queue and to another
  encoder, under the same id. BUSY closes that encoder's window to what it holds of ours, so that media are not
  sent again and again to be refused; served items open it.
* INVALID, TOO_LARGE, INCOMPATIBLE, EXPIRED are final. INTERNAL is tried on `MAX_FAILURES` encoders, not counting
  those that fail at everything. An item whose encoder died `MAX_LOSSES` times is given up, for it may be what kills
  them; before that it is isolated (see `choosing`).
* A late answer of an encoder that the item was taken from is as good as any, if it is OK.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterable

from fleet_client import errors, verdicts
from fleet_client.choosing import SETTLE_SECONDS, Openings, all_answered, candidates, fair_share, nobody_well
from fleet_client.endpoint import GREET_SECONDS, Endpoint, Phase, Work
from fleet_client.estimate import Estimator
from fleet_client.jobs import Abandon, Action, Fail, Greet, Job, Part, Send
from fleet_client.prospects import Prospects
from fleet_client.protocol import Load, Result, Status, Welcome
from fleet_client.queues import Queues

MAX_FAILURES = 3
MAX_LOSSES = 5


class Router:
    """All items and encoders of one client.

    Args:
        addresses: Of the encoders, normalised.
        now: When they are first looked for.
        jitter: Numbers in [0, 1) that spread retries of many clients.
    """

    def __init__(self, addresses: Iterable[str], now: float, jitter: Callable[[], float] = random.random) -> None:
        self.endpoints = {address: Endpoint(address, down_since=now) for address in addresses}
        self.jobs: dict[str, Job] = {}
        self.estimator = Estimator()
        self._queue = Queues()
        self._deadlines: list[tuple[float, str]] = []
        self._actions: list[Action] = []
        self._prospects = Prospects()
        self._settled_at = math.inf
        self._jitter = jitter
        self._choices = self._items = 0

    @property
    def staying(self) -> list[Endpoint]:
        """All encoders but those that leave: those that may get something new."""
        return [each for each in self.endpoints.values() if not each.leaving]

    # Events of the caller.

    def submit(self, job: Job, *, measured: bool = True) -> None:
        """A new item; one whose size is not known yet waits for `measured`."""
        self._items += 1
        job.order = self._items
        self.jobs[job.id] = job
        if job.deadline != math.inf:
            heapq.heappush(self._deadlines, (job.deadline, job.id))
        if measured:
            self._enqueue(job)

    def measured(self, item: str, size: int) -> None:
        """The size of an item is known now."""
        job = self.jobs.get(item)
        if job is not None:
            job.size = size
            self._enqueue(job)

    def cancel(self, item: str) -> None:
        """Nobody wants it any more; nothing happens where it is done."""
        job = self.jobs.get(item)
        if job is not None:
            self._forget(job)

    def meet(self, addresses: Iterable[str], now: float) -> None:
        """The encoders are these: new ones are looked for, and one that is none of them gets nothing new."""
        wanted = dict.fromkeys(addresses)
        self._prospects.changed |= wanted.keys() != {each.address for each in self.staying}
        for address in wanted:
            if address not in self.endpoints:
                self.endpoints[address] = Endpoint(address, down_since=now)
        for endpoint in self.endpoints.values():
            endpoint.leaving = endpoint.address not in wanted

    # Events of the connections.

    def connected(self, address: str, now: float) -> None:
        """The connection stands."""
        self.lost(address, "connection lost", now)  # in case that was not told
        self.endpoints[address].came_up(now)

    def lost(self, address: str, problem: str, now: float) -> None:
        """The connection is gone, or could not be made: what was there goes elsewhere."""
        endpoint = self.endpoints[address]
        stranded = [*endpoint.outstanding]
        self._prospects.changed |= endpoint.connected  # a try that fails again changes nothing
        endpoint.went_down(problem, now)
        for item in reversed(stranded):
            self._lose(item, address, problem)

    def garbled(self, address: str, problem: str, now: float) -> None:
        """It sent something that is not the protocol: do not wait for its answers."""
        endpoint = self.endpoints[address]
        endpoint.heard = now
        endpoint.pause(problem, now)
        for item in reversed([*endpoint.outstanding]):
            endpoint.release(item)
            self._lose(item, address, problem)

    def mismatched(self, address: str, version: int, server: str) -> None:
        """Its Welcome could not be read, as it speaks another version."""
        self.endpoints[address].mismatched(version, server)
        self._prospects.changed = True

    def welcomed(self, address: str, welcome: Welcome, now: float) -> None:
        """It answered a Hello."""
        endpoint = self.endpoints[address]
        endpoint.heard = now
        self._prospects.changed |= endpoint.welcome != welcome
        endpoint.introduced_itself(welcome)
        settled = all_answered(self.staying)
        self._settled_at = -math.inf if settled else min(self._settled_at, now + SETTLE_SECONDS)

    def loaded(self, address: str, load: Load, now: float) -> None:
        """It said how much work it has."""
        endpoint = self.endpoints[address]
        endpoint.heard = now
        endpoint.reports(load.pending_patches)
        if load.draining:
            endpoint.pause(verdicts.DRAINING, now)

    def answered(self, address: str, result: Result, now: float) -> bool:
        """It answered for an item.

        Returns:
            Whether this is the embedding that the caller waits for; the item is done then.
        """
        endpoint = self.endpoints[address]
        endpoint.heard = now
        endpoint.reports(result.pending_patches)
        work = endpoint.release(result.id)
        if result.status is Status.OK:
            endpoint.succeeded(result.cached)
        job = self.jobs.get(result.id)
        if job is None:
            return False
        job.left_at.discard(address)
        if result.status is Status.OK:
            if work is not None:
                endpoint.finished(work)
            if result.meta is not None:
                self.estimator.learn(job.modality, job.size, result.meta.patches)
            if job.endpoint == address:
                job.endpoint = None
            self._forget(job)
            return True
        if job.endpoint == address:
            job.endpoint = None
            self._setback(job, endpoint, result, now)
        return False

    # Decisions.

    def decide(self, now: float) -> list[Action]:
        """What to do now, in this order."""
        self._expire(now)
        self._leave_the_silent(now)
        self._part()
        self._greet(now)
        for job, error in self._prospects.hopeless(self._queue, self.jobs, self.staying, now):
            self._fail(job, error)
        self._dispatch(now)
        actions, self._actions = self._actions, []
        return actions

    def wake_at(self, now: float) -> float:
        """When to `decide` again, though nothing happens; infinite for never. Call it after `decide`."""
        while self._deadlines and self._deadlines[0][1] not in self.jobs:
            heapq.heappop(self._deadlines)
        times = [self._deadlines[0][0] if self._deadlines else math.inf]
        times += [each.wake_at(now, waiting=bool(self._queue)) for each in self.endpoints.values()]
        if self._queue and now < self._settled_at < math.inf:
            times.append(self._settled_at)
        if self._prospects.unchecked:
            down = (each for each in self.endpoints.values() if each.phase is Phase.DOWN)
            times += [each.given_up_at for each in down if each.given_up_at > now]
        return min(times)

    # What the decisions are made of.

    def _expire(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, item = heapq.heappop(self._deadlines)
            job = self.jobs.get(item)
            if job is not None and job.endpoint is None and item not in self._queue:
                self._fail(job, verdicts.unread())
            elif job is not None:
                self._fail(job, verdicts.out_of_time(job.endpoint, job.setback, self.staying))

    def _leave_the_silent(self, now: float) -> None:
        for endpoint in self.endpoints.values():
            if now < endpoint.silent_at:
                continue
            for item in reversed([*endpoint.outstanding]):
                job = self.jobs[item]
                elsewhere = candidates(self.staying, job, besides=endpoint.address)
                if not any(now < other.silent_at for other in elsewhere):
                    continue  # nobody better: it may come back
                endpoint.pause(verdicts.SILENT, now)
                endpoint.release(item)
                job.left_at.add(endpoint.address)  # it may still answer: cancelled when the item is done
                self._lose(item, endpoint.address, verdicts.SILENT)

    def _part(self) -> None:
        for endpoint in [*self.endpoints.values()]:
            if endpoint.leaving and not endpoint.outstanding:
                del self.endpoints[endpoint.address]
                self._actions.append(Part(endpoint.address))

    def _greet(self, now: float) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.phase in (Phase.GREETED, Phase.WAITING) and endpoint.greet_at <= now:
                endpoint.greet_at = now + GREET_SECONDS
                self._actions.append(Greet(endpoint.address))

    def _dispatch(self, now: float) -> None:
        if not self._queue:
            return
        share = fair_share(self.staying, len(self.jobs), self._settled_at, now)
        openings = Openings(self.staying, self._queue.modalities(), now, share)
        for job in self._queue.suspects():
            cell = openings.choose_cell(job)
            if cell is not None:
                self._assign(job, cell, now)
                self._queue.remove(job.id)
        sent: list[str] = []
        for job in self._queue.oldest_first(openings.any):
            chosen = openings.choose(job)
            if chosen is not None:
                self._assign(job, chosen, now)
                openings.changed(chosen)
                sent.append(job.id)
        for item in sent:
            self._queue.remove(item)

    def _assign(self, job: Job, endpoint: Endpoint, now: float) -> None:
        self._choices += 1
        endpoint.used = self._choices
        work = Work(self.estimator.patches(job.modality, job.size), job.size)
        endpoint.took(job.id, work, now, alone=job.suspect)
        job.endpoint, job.attempts = endpoint.address, job.attempts + 1
        self._actions.append(Send(endpoint.address, job.id, job.attempts))

    def _setback(self, job: Job, endpoint: Endpoint, result: Result, now: float) -> None:
        """The encoder did not encode it: for good, or is there another?"""
        error = verdicts.error_of(result, endpoint.address)
        if isinstance(error, errors.Refused | errors.MediaUnreachable):
            self._fail(job, error)
            return
        job.setback = error
        if isinstance(error, errors.Busy):
            endpoint.refused_as_busy(now + error.retry_after * (1.0 + self._jitter() / 2))
        elif isinstance(error, errors.Draining):
            endpoint.pause(verdicts.DRAINING, now)
        elif isinstance(error, errors.Internal):
            job.avoid.add(endpoint.address)
            self._prospects.failed(job.id)
            if not endpoint.streak or nobody_well(self.staying, job.modality, now):
                job.failures += 1
            endpoint.failed(now)
            if job.failures >= MAX_FAILURES:
                self._fail(job, error)
                return
        else:  # CANCELLED, though this caller still wants it: as if it got lost there
            job.endpoint = endpoint.address
            self._lose(job.id, endpoint.address, "the encoder cancelled it")
            return
        self._enqueue(job, again=True)

    def _lose(self, item: str, address: str, problem: str) -> None:
        """The encoder that has the item is no use any more."""
        job = self.jobs.get(item)
        if job is None or job.endpoint != address:
            return
        job.lost_at.append(address)
        job.setback = verdicts.lost(len(job.lost_at), address, problem)
        job.endpoint = None
        if len(job.lost_at) >= MAX_LOSSES:
            self._fail(job, job.setback)
        else:
            self._enqueue(job, again=True)

    def _enqueue(self, job: Job, *, again: bool = False) -> None:
        self._queue.add(job, first=again)
        self._prospects.unchecked.add(job.id)

    def _fail(self, job: Job, error: errors.EncodeError) -> None:
        error.attempts = job.attempts
        self._forget(job)
        self._actions.append(Fail(job.id, error))

    def _forget(self, job: Job) -> None:
        del self.jobs[job.id]
        self._queue.remove(job.id)
        self._prospects.forget(job.id)
        if job.endpoint is not None:
            self.endpoints[job.endpoint].release(job.id)
            job.left_at.add(job.endpoint)
        self._actions += [Abandon(address, job.id) for address in sorted(job.left_at)]
