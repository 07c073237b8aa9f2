"""Every few seconds: read the load of each pool, decide, and set `spec.replicas` where that is the operator's to do."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.api.pool import KIND
from fleet_operator.autoscale import Decision, Observation, PodLoad, Reading, State, deletion_costs, load_between, step
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Recorder, Subject
from fleet_operator.metrics import LOAD, Metrics
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.observed.pods import PodState
from fleet_operator.scaling.scrape import Scraper
from fleet_operator.specs.names import HTTP_PORT
from fleet_operator.timestamps import write_time

log = logging.getLogger(__name__)


@dataclass
class Watched:
    """What is remembered of one pool between two looks; all of it can be learnt again."""

    readings: dict[str, Reading] = field(default_factory=dict)
    loads: dict[str, PodLoad] = field(default_factory=dict)
    state: State = field(default_factory=State)
    decision: Decision | None = None
    fingerprint: str | None = None


class Scaler:
    """Looks at all pools again and again.

    Args:
        api: The API server.
        mirror: What is known of the cluster.
        recorder: Of events.
        metrics: Told of loads and decisions.
        changed: Called with pools of which something new is to be told.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        api: Api,
        mirror: Mirror,
        recorder: Recorder,
        metrics: Metrics,
        changed: Callable[[Iterable[Key]], None],
        interval: float,
    ) -> None:
        self._api = api
        self._mirror = mirror
        self._recorder = recorder
        self._metrics = metrics
        self._changed = changed
        self._interval = interval
        self._pools: dict[Key, Watched] = {}

    def decision(self, key: Key) -> Decision | None:
        """The last one about a pool."""
        watched = self._pools.get(key)
        return watched.decision if watched else None

    def fingerprint(self, key: Key) -> str | None:
        """Of the model that a pool's encoders serve; empty where they do not agree, None where none has told it yet."""
        watched = self._pools.get(key)
        return watched.fingerprint if watched else None

    def costs(self, key: Key) -> dict[str, int]:
        """What deleting each pod of a pool costs: of the idlest, least."""
        watched = self._pools.get(key) or Watched()
        pods = self._mirror.pods(key)
        return deletion_costs(
            {pod.name: watched.loads.get(pod.name) for pod in pods}, {pod.name: pod.cost for pod in pods}
        )

    async def run(self) -> None:
        """Look until cancelled."""
        async with Scraper(lambda outcome: self._metrics.scrapes.labels(outcome).inc()) as scraper:
            while True:
                begin = time.monotonic()
                await self.look(scraper)
                await asyncio.sleep(max(0.0, self._interval - (time.monotonic() - begin)))

    async def look(self, scraper: Scraper) -> None:
        """One look at every pool."""
        for key in self._pools.keys() - self._mirror.pools.keys():
            del self._pools[key]
        await asyncio.gather(*(self._pool(key, scraper) for key in list(self._mirror.pools)))

    async def _pool(self, key: Key, scraper: Scraper) -> None:
        try:
            pool = self._mirror.parsed(key)
        except (PoolError, KeyError):
            return
        if pool.spec.autoscaling.mode == "Off" or pool.spec.runtime != "Native":
            if self._pools.pop(key, None):
                self._metrics.pools.unset(key, LOAD)
                self._changed([key])
            return
        watched = self._pools.setdefault(key, Watched())
        pods = [pod for pod in self._mirror.pods(key) if pod.ip and not pod.leaving]
        readings = await scraper.read({pod.name: _address(pod) for pod in pods})
        before = watched.decision, watched.fingerprint
        self._decide(key, pool, watched, readings, pods)
        if before != (watched.decision, watched.fingerprint):
            self._changed([key])
        await self._act(key, pool, watched)

    def _decide(
        self, key: Key, pool: EncoderPool, watched: Watched, readings: dict[str, Reading], pods: list[PodState]
    ) -> None:
        loads = {
            name: load
            for name, reading in readings.items()
            if name in watched.readings and (load := load_between(watched.readings[name], reading))
        }
        watched.readings, watched.loads = readings, loads
        prints = {reading.fingerprint for reading in readings.values() if reading.ready and reading.fingerprint}
        fingerprint = prints.pop() if len(prints) == 1 else "" if prints else watched.fingerprint
        if fingerprint != watched.fingerprint:
            watched.fingerprint, watched.state = fingerprint, State()  # another model has another capacity
        seen = Observation(pool.spec.replicas, sum(pod.ready for pod in pods), loads)
        watched.state, watched.decision = step(pool.spec.autoscaling, watched.state, seen, time.monotonic())
        decision = watched.decision
        change = "up" if decision.replicas > seen.replicas else "down" if decision.replicas < seen.replicas else "none"
        self._metrics.decisions.labels(decision.basis, change).inc()
        self._metrics.pools.set(
            key,
            needed_replicas=decision.recommended,
            demand_patches_per_second=decision.demand,
            served_patches_per_second=decision.served,
            capacity_patches_per_second=decision.capacity,
            pending_patches=decision.pending,
        )

    async def _act(self, key: Key, pool: EncoderPool, watched: Watched) -> None:
        """Set the replicas, where the pool asks the operator to, and say so."""
        scaling, decision = pool.spec.autoscaling, watched.decision
        old = pool.spec.replicas
        mine = scaling.mode == "Auto" and scaling.backend == "Builtin" and not pool.spec.paused
        body = self._mirror.pools.get(key)
        if not mine or decision is None or body is None or decision.replicas == old or old == 0:
            return
        meta = body["metadata"]
        try:
            # Only if nobody has changed the pool in the meantime: then the decision was made of something else.
            await self._api.patch(
                KIND,
                *key,
                {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"replicas": decision.replicas}},
                subresource="scale",
            )
            last = {
                "time": write_time(datetime.now(UTC)),
                "oldReplicas": old,
                "newReplicas": decision.replicas,
                "reason": decision.reason[:1024],
            }
            self._mirror.update_pool(
                await self._api.patch(KIND, *key, {"status": {"lastScale": last}}, subresource="status")
            )
        except ApiError as error:
            log.info("%s: not scaled to %d: %s", key, decision.replicas, error)
            return
        word = "ScaledUp" if decision.replicas > old else "ScaledDown"
        await self._recorder.record(
            Subject(*key, meta["uid"]), "Normal", word, f"{old} to {decision.replicas} replicas: {decision.reason}"
        )
        self._changed([key])


def _address(pod: PodState) -> str:
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"{host}:{HTTP_PORT}"
