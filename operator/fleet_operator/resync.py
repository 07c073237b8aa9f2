"""Holds what is known against what is, now and then: a watch that has lost something says nothing of it.

A watch that was away for long is begun anew by a list, and a list does not tell what was deleted meanwhile. What was
missed is put right here; a kind of which something is missed again and again has a watch that does not work, and then
the operator asks to be restarted (`/healthz`).
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping

from fleet_operator.controller import Controller
from fleet_operator.kube.client import Api, Object
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.resources import UNLABELLED
from fleet_operator.memory import give_back
from fleet_operator.metrics import Metrics
from fleet_operator.observed.children import newer
from fleet_operator.observed.mirror import Mirror, Name
from fleet_operator.specs.names import POOL_LABEL

log = logging.getLogger(__name__)

LAG_SECONDS = 10.0
"""So late an event may be: what is not known after that was missed."""
SILENT_ROUNDS = 2
_LOOK_SECONDS = 0.2
_CLUSTERWIDE = ("Node",)


class Resync:
    """Compares, round after round.

    Args:
        api: The API server.
        mirror: What is known.
        controller: Told of what was missed.
        metrics: Told of how much.
        kinds: Kinds that are watched.
        namespaces: Where; empty for the whole cluster.
        interval: Seconds between two rounds.
    """

    def __init__(
        self,
        api: Api,
        mirror: Mirror,
        controller: Controller,
        metrics: Metrics,
        kinds: Collection[str],
        namespaces: Collection[str],
        interval: float,
    ) -> None:
        self._api = api
        self._mirror = mirror
        self._controller = controller
        self._metrics = metrics
        self._kinds = tuple(kinds)
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._interval = interval
        self._lag = min(LAG_SECONDS, interval)
        self._silent: dict[str, int] = {}

    @property
    def trouble(self) -> str:
        """Why the operator should be restarted; empty while it should not."""
        silent = sorted(kind for kind, rounds in self._silent.items() if rounds >= SILENT_ROUNDS)
        return f"the watch of {', '.join(silent)} misses what happens" if silent else ""

    async def in_step(self) -> None:
        """Wait until all that there is is known, one kind after the other: the watches go on meanwhile."""
        for kind in self._kinds:
            await self._kind_in_step(kind)
        give_back()

    async def _kind_in_step(self, kind: str) -> None:
        patience = _LOOK_SECONDS
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                there = await self._listed(kind)
            except ApiError as error:
                log.info("not in step yet: %s", error)
                continue
            # What is not known may be on its way, or deleted by now: then a new list tells. Of thousands of objects a
            # list costs as much as the watch, so wait longer each time.
            until = time.monotonic() + patience
            patience = min(2 * patience, LAG_SECONDS)
            while behind(there, self._mirror.versions(kind)):
                if time.monotonic() > until:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for kind in self._kinds:
                try:
                    missed = await self._compare(kind)
                except ApiError as error:
                    log.info("%s: not compared: %s", kind, error)
                    missed = error.code == 403  # nor is it watched then
                    if not missed:
                        continue
                self._silent[kind] = self._silent.get(kind, 0) + 1 if missed else 0
            give_back()

    async def _compare(self, kind: str) -> bool:
        """Put right what the watch of a kind has missed; whether there was something."""
        known = self._mirror.versions(kind)
        there = await self._listed(kind)
        if not behind(there, known) and not known.keys() - there.keys():
            return False
        await asyncio.sleep(self._lag)
        again = await self._listed(kind)
        known_later = self._mirror.versions(kind)
        late = [name for name in behind(there, known_later) if name in again]
        gone = [name for name in known.keys() - there.keys() if name not in again and name in known_later]
        for name in late:
            await self._look_up(kind, name)
        for namespace, each in gone:
            self._controller.remove(kind, self._mirror.remains(kind, namespace, each))
        if late or gone:
            log.warning("%s: the watch has missed %d objects; put right", kind, len(late) + len(gone))
            self._metrics.missed.labels(kind).inc(len(late) + len(gone))
        return bool(late or gone)

    async def _look_up(self, kind: str, name: Name) -> None:
        if body := await self._api.find(kind, name[0] or None, name[1]):
            self._controller.put(kind, body)

    async def _listed(self, kind: str) -> dict[Name, str]:
        """Versions of all objects of a kind that are watched."""
        query = {} if kind in UNLABELLED else {"labelSelector": POOL_LABEL}
        found: dict[Name, str] = {}
        for namespace in (None,) if kind in _CLUSTERWIDE else self._namespaces:
            async for body in self._api.list(kind, namespace, metadata_only=True, **query):
                found[_name(body)] = body["metadata"]["resourceVersion"]
        return found


def behind(there: Mapping[Name, str], known: Mapping[Name, str]) -> list[Name]:
    """Objects that are not known, or as they were before. Pure.

    Args:
        there: Versions that there are.
        known: Versions that are known; empty where only the name is.
    """
    return [
        name for name, version in there.items() if name not in known or (known[name] and newer(version, known[name]))
    ]


def _name(body: Object) -> Name:
    meta = body["metadata"]
    return meta.get("namespace", ""), meta["name"]
