"""Which encoder gets which item, and what an answer means. Pure: sockets, clocks and futures are elsewhere.

Events come in through methods, all with the time `now`; `decide` then returns what to do about them, and
`wake_at` when to ask again though nothing happened. An item waits in a queue until an encoder has room:

* The encoder with the least work pending gets it: patches, of all clients as it reported them, else of ours.
* BUSY, DRAINING, INTERNAL, a lost connection, silence: the item goes back to the head of the queue and to another
  encoder, under the same id. BUSY closes that encoder's window to what it holds of ours, so that media are not
  sent again and again to be refused; served items open it.
* INVALID, TOO_LARGE, INCOMPATIBLE, EXPIRED are final. INTERNAL is tried on `MAX_FAILURES` encoders; an item
  whose encoder died `MAX_LOSSES` times is given up, for it may be what kills them.
* A late answer of an encoder that the item was taken from is as good as any, if it is OK.
"""

import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable

from fleet_client import errors, verdicts
from fleet_client.endpoint import GREET_SECONDS, Endpoint, Phase, Work
from fleet_client.estimate import Estimator
from fleet_client.jobs import Abandon, Action, Fail, Greet, Job, Send
from fleet_client.protocol import Load, Result, Status, Welcome

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
        self._queue: OrderedDict[str, None] = OrderedDict()
        self._deadlines: list[tuple[float, str]] = []
        self._actions: list[Action] = []
        self._unchecked: set[str] = set()  # items in the queue that perhaps nobody will ever take
        self._jitter = jitter
        self._choices = 0

    # Events of the caller.

    def submit(self, job: Job) -> None:
        """A new item."""
        self.jobs[job.id] = job
        self._queue[job.id] = None
        self._unchecked.add(job.id)
        if job.deadline != float("inf"):
            heapq.heappush(self._deadlines, (job.deadline, job.id))

    def cancel(self, item: str) -> None:
        """Nobody wants it any more; nothing happens where it is done."""
        job = self.jobs.get(item)
        if job is not None:
            self._forget(job)

    # Events of the connections.

    def connected(self, address: str, now: float) -> None:
        """The connection stands."""
        self.lost(address, "connection lost", now)  # in case that was not told
        self.endpoints[address].came_up(now)

    def lost(self, address: str, problem: str, now: float) -> None:
        """The connection is gone, or could not be made: what was there goes elsewhere."""
        endpoint = self.endpoints[address]
        stranded = [*endpoint.outstanding]
        endpoint.went_down(problem, now)
        self._unchecked.update(self._queue)
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
        self._unchecked.update(self._queue)

    def welcomed(self, address: str, welcome: Welcome, now: float) -> None:
        """It answered a Hello."""
        endpoint = self.endpoints[address]
        endpoint.heard = now
        endpoint.introduced_itself(welcome)
        self._unchecked.update(self._queue)

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
        self._greet(now)
        self._reject_hopeless(now)
        self._dispatch(now)
        actions, self._actions = self._actions, []
        return actions

    def wake_at(self, now: float) -> float:
        """When to `decide` again, though nothing happens; infinite for never. Call it after `decide`."""
        times = [float("inf")]
        while self._deadlines and self._deadlines[0][1] not in self.jobs:
            heapq.heappop(self._deadlines)
        if self._deadlines:
            times.append(self._deadlines[0][0])
        for endpoint in self.endpoints.values():
            if endpoint.phase in (Phase.GREETED, Phase.WAITING):
                times.append(endpoint.greet_at)
            if endpoint.outstanding:
                times.append(endpoint.silent_at if endpoint.silent_at > now else now + GREET_SECONDS)
            if self._queue and endpoint.phase is Phase.SERVING and endpoint.busy_until > now:
                times.append(endpoint.busy_until)
        if self._unchecked:
            times += [each.given_up_at for each in self._down() if each.given_up_at > now]
        return min(times)

    # What the decisions are made of.

    def _expire(self, now: float) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, item = heapq.heappop(self._deadlines)
            job = self.jobs.get(item)
            if job is not None:
                self._fail(job, verdicts.out_of_time(job.endpoint, job.setback, [*self.endpoints.values()]))

    def _leave_the_silent(self, now: float) -> None:
        for endpoint in self.endpoints.values():
            if now < endpoint.silent_at:
                continue
            for item in reversed([*endpoint.outstanding]):
                job = self.jobs[item]
                elsewhere = self._candidates(job, besides=endpoint.address)
                if not any(now < other.silent_at for other in elsewhere):
                    continue  # nobody better: it may come back
                endpoint.pause(verdicts.SILENT, now)
                endpoint.release(item)
                job.left_at.add(endpoint.address)  # it may still answer: cancelled when the item is done
                self._lose(item, endpoint.address, verdicts.SILENT)

    def _greet(self, now: float) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.phase in (Phase.GREETED, Phase.WAITING) and endpoint.greet_at <= now:
                endpoint.greet_at = now + GREET_SECONDS
                self._actions.append(Greet(endpoint.address))

    def _reject_hopeless(self, now: float) -> None:
        suspects, self._unchecked = self._unchecked, set()
        for item in suspects & self._queue.keys():
            job = self.jobs[item]
            objection = verdicts.objection_of_all(self.endpoints.values(), job.modality, job.size)
            if objection is not None:
                self._fail(job, objection)
            elif job.avoid and job.setback is not None and not self._candidates(job):
                if any(each.address not in job.avoid and now < each.given_up_at for each in self._down()):
                    self._unchecked.add(item)  # one may be back in a moment
                else:
                    self._fail(job, job.setback)

    def _dispatch(self, now: float) -> None:
        open_ones = [endpoint for endpoint in self.endpoints.values() if endpoint.open(now)]
        sent: list[Job] = []
        for item in self._queue:
            if not open_ones:
                break
            job = self.jobs[item]
            able = [each for each in open_ones if each.address not in job.avoid and each.suits(job.modality, job.size)]
            if able:
                chosen = min(able, key=lambda each: (job.lost_at.count(each.address), each.load, each.used))
                self._assign(job, chosen, now)
                sent.append(job)
                if not chosen.open(now):
                    open_ones.remove(chosen)
        for job in sent:
            del self._queue[job.id]

    def _assign(self, job: Job, endpoint: Endpoint, now: float) -> None:
        self._choices += 1
        endpoint.used = self._choices
        endpoint.took(job.id, Work(self.estimator.patches(job.modality, job.size), job.size), now)
        job.endpoint, job.attempts = endpoint.address, job.attempts + 1
        self._actions.append(Send(endpoint.address, job.id, job.attempts))

    def _down(self) -> list[Endpoint]:
        return [each for each in self.endpoints.values() if each.phase is Phase.DOWN]

    def _candidates(self, job: Job, besides: str = "") -> list[Endpoint]:
        """Encoders that are there and may take the item, now or later."""
        return [
            each
            for each in self.endpoints.values()
            if each.phase in (Phase.SERVING, Phase.WAITING, Phase.GREETED)
            and each.address != besides
            and each.address not in job.avoid
            and each.suits(job.modality, job.size)
        ]

    def _setback(self, job: Job, endpoint: Endpoint, result: Result, now: float) -> None:
        """The encoder did not encode it: for good, or is there another?"""
        error = verdicts.error_of(result, endpoint.address)
        if isinstance(error, errors.Refused):
            self._fail(job, error)
            return
        job.setback = error
        if isinstance(error, errors.Busy):
            endpoint.refused_as_busy(now + error.retry_after * (1.0 + self._jitter() / 2))
        elif isinstance(error, errors.Draining):
            endpoint.pause(verdicts.DRAINING, now)
        elif isinstance(error, errors.Internal):
            job.avoid.add(endpoint.address)
            if len(job.avoid) >= MAX_FAILURES:
                self._fail(job, error)
                return
        else:  # CANCELLED, though this caller still wants it: as if it got lost there
            job.endpoint = endpoint.address
            self._lose(job.id, endpoint.address, "the encoder cancelled it")
            return
        self._requeue(job)

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
            self._requeue(job)

    def _requeue(self, job: Job) -> None:
        self._queue[job.id] = None
        self._queue.move_to_end(job.id, last=False)
        self._unchecked.add(job.id)

    def _fail(self, job: Job, error: errors.EncodeError) -> None:
        error.attempts = job.attempts
        self._forget(job)
        self._actions.append(Fail(job.id, error))

    def _forget(self, job: Job) -> None:
        del self.jobs[job.id]
        self._queue.pop(job.id, None)
        if job.endpoint is not None:
            self.endpoints[job.endpoint].release(job.id)
            job.left_at.add(job.endpoint)
        self._actions += [Abandon(address, job.id) for address in sorted(job.left_at)]
