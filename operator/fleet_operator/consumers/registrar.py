"""Every ready encoder of a pool is registered with every language server of its consumers, and no other one is.

Nothing is kept that cannot be seen again: the language servers have the lists. When the operator ends, they stay as
they are; when it starts, it goes on from what it finds there.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.consumers.answers import Place, Served, Target, served
from fleet_operator.consumers.asking import Asker
from fleet_operator.consumers.compatibility import Facts
from fleet_operator.consumers.encoders import Encoders
from fleet_operator.consumers.finding import INTERVAL_SECONDS, Finder
from fleet_operator.consumers.keeper import Keeper
from fleet_operator.consumers.report import Report
from fleet_operator.consumers.servers import queries
from fleet_operator.consumers.telling import Telling
from fleet_operator.consumers.wished import Wished
from fleet_operator.consumers.wishes import Wishes, serving, wishes
from fleet_operator.kube.client import Api
from fleet_operator.metrics import REGISTRATIONS, Metrics
from fleet_operator.observed.mirror import Key, Mirror

log = logging.getLogger(__name__)

_NUDGED_SECONDS = 0.05
"""What happens to many pods at once is one change."""


class Registrar:
    """Keeps a `Keeper` for each language server.

    Args:
        api: The API server.
        mirror: What is known of the cluster.
        metrics: Told of what is registered.
        changed: Called with pools of which something new is to be told.
    """

    def __init__(self, api: Api, mirror: Mirror, metrics: Metrics, changed: Callable[[Iterable[Key]], None]) -> None:
        self._mirror = mirror
        self._metrics = metrics
        self._changed = changed
        self._finder = Finder(api)
        self._asker = Asker(lambda what, outcome: metrics.registry_requests.labels(what, outcome).inc())
        self._encoders = Encoders(self._asker, lambda key: self.look_at([key]))
        self._pools: dict[Key, EncoderPool] = {}
        self._served = Served({}, {}, {})
        self._keepers: dict[Place, tuple[Keeper, asyncio.Task[None]]] = {}
        self._reported: dict[Key, Report] = {}
        self._wished, self._telling = Wished(self._wishes), Telling(self._tell)
        self._dirty: set[Key] = set()
        self._nudged, self._find_now = asyncio.Event(), asyncio.Event()

    def report(self, key: Key) -> Report | None:
        """How far the language servers of a pool know its encoders; None where nobody has looked yet."""
        pool = self._pools.get(key)
        if pool is None or key not in self._served.problems:
            return None
        keepers = [keeper for keeper, _ in self._keepers.values() if key in keeper.pools]
        states = [keeper.state(key) for keeper in keepers]
        servers = sorted(state for state in states if state is not None)
        encoders, known = serving(self._mirror.pods(key)), self._encoders.identities(key)
        # Else what language servers had of the encoders of a moment ago would be told of those of now.
        fresh = key not in self._dirty and all(keeper.fresh for keeper in keepers)
        looked = fresh and len(servers) == len(states) and all(pod.name in known for pod in encoders)
        return Report(
            servers=tuple(servers),
            encoders=len(encoders),
            deaf=tuple(sorted(pod.name for pod in encoders if pod.name in known and known[pod.name].deaf)),
            problems=self._served.problems[key],
            refusals=self._served.refusals.get(key, ()),
            settled=looked and all(each.settled for each in servers),
        )

    def look_at(self, keys: Iterable[Key]) -> None:
        """Something happened to these pools, or to pods of theirs."""
        mine = {key for key in keys if key in self._pools or self._has_consumers(key)}
        if mine:
            self._dirty |= mine
            for key in mine:
                self._wished.forget(key)
            self._nudged.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._asker:
            following = [asyncio.create_task(self._follow()), asyncio.create_task(self._telling.run())]
            try:
                while True:
                    self._find_now.clear()
                    await self._safely(self._find)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(INTERVAL_SECONDS):
                            await self._find_now.wait()
            finally:
                tasks = [*following, *(task for _, task in self._keepers.values())]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._encoders.close()

    async def _safely(self, do: Callable[[], Awaitable[None]]) -> None:
        """A defect that one pool meets ends nothing else."""
        try:
            await do()
        except Exception:
            log.exception("the language servers of some pool cannot be told of its encoders")

    async def _follow(self) -> None:
        """Pass on what happens to pods, at once."""
        while True:
            await self._nudged.wait()
            self._nudged.clear()
            await self._safely(self._pass_on)
            await asyncio.sleep(_NUDGED_SECONDS)

    async def _pass_on(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for keeper, _ in self._keepers.values():
            if not keeper.pools.isdisjoint(dirty):
                keeper.wake()
        for key in dirty:
            if self._pool(key) is not self._pools.get(key):
                self._find_now.set()
            elif (pool := self._pools.get(key)) is not None:
                self._encoders.look(key, pool, self._mirror.pods(key))
                self._wished.forget(key)
        self._telling.soon(dirty)

    async def _find(self) -> None:
        """Look for language servers, and see to it that each has a keeper, and none that is no consumer any more."""
        keys = list(self._mirror.pools)
        pools = {key: pool for key in keys if (pool := self._pool(key)) is not None}
        asked = {key: queries(pool) for key, pool in pools.items()}
        found = await self._finder.look(query for each in asked.values() for query, _ in each)
        self._pools = pools
        self._encoders.keep(pools)
        self._served = served(asked, found)
        for place, target in self._served.places.items():
            self._keeper(place, target).serve(target.pools, target.server, target.apis)
        for place, (keeper, task) in list(self._keepers.items()):
            if place not in self._served.places:
                keeper.retire()
            if task.done() and not keeper.pools:
                del self._keepers[place]
        for key, pool in pools.items():
            self._encoders.look(key, pool, self._mirror.pods(key))
        for key in self._reported.keys() - pools.keys():
            del self._reported[key]
            self._metrics.pools.unset(key, REGISTRATIONS)
        self._wished.forget_all()
        self._telling.soon(pools)

    def _keeper(self, place: Place, target: Target) -> Keeper:
        known = self._keepers.get(place)
        if known is not None and not known[1].done():
            return known[0]
        keeper = Keeper(self._asker, self._wished.of, self._telling.soon, target.server, place.port, target.apis)
        self._keepers[place] = keeper, asyncio.create_task(keeper.run())
        return keeper

    def _wishes(self, key: Key, server: Facts, unsure: str) -> Wishes:
        pool = self._pools.get(key)
        if pool is None:
            return Wishes()
        return wishes(pool, self._mirror.pods(key), self._encoders.identities(key), server, unsure)

    def _pool(self, key: Key) -> EncoderPool | None:
        """One with consumers. One that cannot be read any more is as it was: so are its pods."""
        body = self._mirror.pools.get(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return None
        try:
            pool = self._mirror.parsed(key)
        except PoolError:
            return self._pools.get(key)
        return pool if pool.spec.consumers else None

    def _has_consumers(self, key: Key) -> bool:
        return bool((self._mirror.pools.get(key, {}).get("spec") or {}).get("consumers"))

    def _tell(self, key: Key) -> None:
        report = self.report(key)
        if report is None:
            return
        self._metrics.pools.set(
            key,
            language_servers=sum(each.ready for each in report.servers),
            registrations=sum(each.registered for each in report.servers),
        )
        if report.settled and report != self._reported.get(key):
            self._reported[key] = report
            self._changed([key])
