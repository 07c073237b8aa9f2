"""Every few seconds: read the load of each pool, decide, and set `spec.replicas` where that is the operator's to do."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet_operator.addresses import at
from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.autoscale import Decision, deletion_costs
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Recorder
from fleet_operator.metrics import LOAD, NEEDED, Metrics
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.scaling.replicas import Replicas
from fleet_operator.scaling.scrape import NATIVE, SGLANG_ON_CPU, SGLANG_ON_GPU, Dialect, Scraper
from fleet_operator.scaling.watched import Watched
from fleet_operator.specs.names import HTTP_PORT, SGLANG_PORT

log = logging.getLogger(__name__)


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
        self._replicas = Replicas(api, mirror, recorder)
        self._mirror = mirror
        self._metrics = metrics
        self._changed = changed
        self._interval = interval
        self._pools: dict[Key, Watched] = {}
        self._failing: set[Key] = set()

    def decision(self, key: Key) -> Decision | None:
        """The last one about a pool."""
        watched = self._pools.get(key)
        return watched.decision if watched else None

    def fingerprint(self, key: Key) -> str | None:
        """Of the model that a pool's encoders serve; empty where they do not agree, None where none has told it yet."""
        watched = self._pools.get(key)
        return watched.fingerprint if watched else None

    def refusal(self, key: Key) -> str:
        """Why the last decision about a pool could not be done, in the API server's words; empty where it could."""
        watched = self._pools.get(key)
        return watched.refusal if watched else ""

    def costs(self, key: Key) -> dict[str, int]:
        """What deleting each pod of a pool costs: of the idlest, least."""
        watched = self._pools.get(key) or Watched()
        pods = [pod for pod in self._mirror.pods(key) if not pod.over]
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
            self._forget(key)
        self._failing &= self._mirror.pools.keys()
        await asyncio.gather(*(self._safely(key, scraper) for key in list(self._mirror.pools)))

    async def _safely(self, key: Key, scraper: Scraper) -> None:
        """Look at a pool; a defect that it meets is no other pool's."""
        try:
            await self._pool(key, scraper)
        except Exception:
            self._metrics.scaling_errors.inc()
            self._metrics.pools.unset(key, LOAD)  # whoever follows what was last said would follow it for good
            if key not in self._failing:
                log.exception("%s: its load cannot be looked at, its replicas are held", key)
            self._failing.add(key)
        else:
            self._failing.discard(key)

    async def _pool(self, key: Key, scraper: Scraper) -> None:
        try:
            pool = self._mirror.parsed(key)
        except (PoolError, KeyError):  # KeyError: it went while others were looked at
            self._forget(key)
            return
        if pool.spec.autoscaling.mode == "Off":
            self._forget(key)
            return
        asked = self._mirror.pools[key]
        watched = self._watched(key, f"{asked['metadata']['uid']} {pool.spec.runtime}")
        pods = [pod for pod in self._mirror.pods(key) if pod.ip and not pod.leaving and not pod.over]
        dialect, port = _dialect(pool)
        readings = await scraper.read({pod.name: at(pod.ip, port) for pod in pods}, dialect)
        if not _same(self._mirror.pools.get(key), asked):
            return  # it is gone, or somebody has changed it: the next look is at what it is now
        before = watched.decision, watched.fingerprint, watched.refusal
        decision = watched.decide(pool, readings, sum(pod.ready for pod in pods), time.monotonic())
        self._tell(key, pool, decision)
        scaled = await self._act(key, pool, decision, watched)
        if scaled or before != (watched.decision, watched.fingerprint, watched.refusal):
            self._changed([key])

    def _watched(self, key: Key, uid: str) -> Watched:
        known = self._pools.get(key)
        if known is None or known.uid != uid:
            known = self._pools[key] = Watched(uid)
        return known

    def _forget(self, key: Key) -> None:
        """Nobody looks at the load of a pool any more: whoever follows its series shall find none."""
        if self._pools.pop(key, None):
            self._metrics.pools.unset(key, LOAD)
            self._changed([key])

    def _tell(self, key: Key, pool: EncoderPool, decision: Decision) -> None:
        """Prometheus."""
        old, new = pool.spec.replicas, decision.replicas
        self._metrics.decisions.labels(decision.basis, "up" if new > old else "down" if new < old else "none").inc()
        self._metrics.pools.set(
            key,
            needed_replicas=decision.recommended,
            demand_patches_per_second=decision.demand,
            served_patches_per_second=decision.served,
            capacity_patches_per_second=decision.capacity,
            pending_patches=decision.pending,
            min_replicas=pool.spec.autoscaling.min_replicas,
            max_replicas=pool.spec.autoscaling.max_replicas,
        )
        if pool.spec.paused or old == 0:
            # An autoscaler that follows it shall hold, and after a pause nobody shall follow what was said in it.
            self._metrics.pools.unset(key, [NEEDED])

    async def _act(self, key: Key, pool: EncoderPool, decision: Decision, watched: Watched) -> bool:
        """Set the replicas, where the pool asks the operator to. Returns whether it did."""
        scaling, old = pool.spec.autoscaling, pool.spec.replicas
        mine = scaling.mode == "Auto" and scaling.backend == "Builtin" and not pool.spec.paused
        refusal, scaled = "", False
        if mine and decision.replicas != old and old != 0:
            try:
                await self._replicas.set(key, old, decision)
                scaled = True
            except ApiError as error:
                log.info("%s: not scaled to %d: %s", key, decision.replicas, error)
                if not error.passing:  # else the next look mends it
                    refusal = f"cannot {error.what}: {error}"
        watched.refusal = refusal
        return scaled


def _same(now: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> bool:
    """Whether a pool is the one that it was, and its spec too."""
    return now is not None and all(now["metadata"][name] == asked["metadata"][name] for name in ("uid", "generation"))


def _dialect(pool: EncoderPool) -> tuple[Dialect, int]:
    """How, and at which port, the pool's encoders tell their load."""
    if pool.spec.runtime == "Native":
        return NATIVE, HTTP_PORT
    return SGLANG_ON_CPU if pool.spec.resources.gpus == 0 else SGLANG_ON_GPU, SGLANG_PORT
