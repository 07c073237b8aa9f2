"""The changes of a pool, made. Touches the world and decides nothing."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet_operator.api.pool import KIND
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Subject
from fleet_operator.observed.children import read_child
from fleet_operator.observed.mirror import Key
from fleet_operator.reconcile.changes import (
    Apply,
    Blocked,
    Change,
    Delete,
    Resize,
    Rewritten,
    content,
    kind_of,
    must_wait,
    stays,
)
from fleet_operator.reconcile.drift import differences
from fleet_operator.reconcile.observation import Observation, Trouble
from fleet_operator.reconcile.refusals import refusal, taken
from fleet_operator.reconcile.world import World
from fleet_operator.specs.names import DELETION_COST

log = logging.getLogger(__name__)


class GoneError(Exception):
    """There is no pool of that uid any more."""


@dataclass
class Outcome:
    """Of the changes of one visit.

    Attributes:
        troubles: What failed.
        error: The first failure that may pass by itself; None where none was.
    """

    troubles: list[Trouble] = field(default_factory=list)
    error: ApiError | None = None


class Writer:
    """Makes changes.

    Args:
        world: What it works with.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rewritten: dict[Key, dict[tuple[str, str], frozenset[str]]] = {}

    def rewritten(self, key: Key) -> Rewritten:
        """What did not stay as it was applied, of a pool."""
        return self._rewritten.get(key, {})

    def forget(self, key: Key) -> None:
        """The pool is gone."""
        self._rewritten.pop(key, None)

    async def write(self, key: Key, changes: Iterable[Change], seen: Observation) -> Outcome:
        """Make every change.

        One that fails keeps none of the others from being made, save pods that would run under another's account, or
        would be open to all.

        Raises:
            ApiError: The API server cannot be reached.
            GoneError: The pool is no more.
        """
        outcome = Outcome()
        changes = list(changes)
        try:
            # The end of a pool may be missed, and its children go then: made again, they would go again, and so on.
            if any(isinstance(change, Apply) and change.new for change in changes):
                await self.look_up(key, seen.uid)
        except ApiError as error:
            if error.code == 0:
                raise
            outcome.error, changes = error, []
            outcome.troubles.append(refusal(error))
        failed: set[str] = set()
        for change in changes:
            if must_wait(change, failed):
                continue
            try:
                trouble = await self._change(key, change, seen)
            except ApiError as error:
                if error.code == 0:
                    raise
                trouble = refusal(error)
                if error.passing and outcome.error is None:
                    outcome.error = error
            if trouble is not None:
                failed.add(kind_of(change))
                outcome.troubles.append(trouble)
        return outcome

    async def look_up(self, key: Key, uid: str) -> None:
        """Ask the API server for the pool. One that is not there any more is forgotten; another of its name is known.

        Raises:
            ApiError: It cannot be asked.
            GoneError: It is not there.
        """
        there = await self._world.api.find(KIND, *key)
        if there is not None and there["metadata"]["uid"] == uid:
            return
        self._world.mirror.remove_pool(*key, uid)
        if there is not None:
            self._world.mirror.put_pool(there)
        raise GoneError

    async def _change(self, key: Key, change: Change, seen: Observation) -> Trouble | None:
        api, mirror = self._world.api, self._world.mirror
        if isinstance(change, Blocked):
            return taken(change.body, passing=change.passing)
        if isinstance(change, Delete):
            child = change.child
            await api.delete(child.kind, child.namespace, child.name, child.uid)
            return None
        kind, name = change.body["kind"], change.body["metadata"]["name"]
        if kind == "Deployment" and _shrinks(change.body, seen):
            await self._mark_idlest(key, seen)
        if isinstance(change, Resize):
            meta = {"uid": change.uid, "annotations": change.annotations}
            patch = {"metadata": meta, "spec": {"replicas": change.replicas}}
            mirror.put_child(read_child(kind, await api.patch(kind, key.namespace, name, patch)))
            return None
        if change.new and (there := await api.get(kind, key.namespace, name)):
            child = read_child(kind, there)
            if child.owner != seen.uid or child.leaving:
                return taken(change.body, passing=child.leaving or bool(child.owner))
        answer = read_child(kind, await self._apply(change, key))
        mirror.put_child(answer)
        fields = differences(answer.body, content(change.body))
        self._remember(key, (kind, name), fields)
        before = seen.children.get((kind, name))
        if change.restores and before is not None and not stays(before, change.body, fields):
            await self._world.recorder.record(
                Subject(*key, seen.uid), "Normal", "Restored", f"{kind} {name} was changed by somebody: put back"
            )
        return None

    async def _apply(self, change: Apply, key: Key) -> dict[str, Any]:
        api, body = self._world.api, change.body
        try:
            return await api.apply(body)
        except ApiError as error:
            if error.code != 422 or change.new:
                raise
        # Lists are merged by keys, such as a port's number: where somebody has changed one, what is applied stands
        # beside theirs, with the same name, and that is invalid. A merge patch takes the place of the whole list.
        meta = body["metadata"]
        await api.patch(body["kind"], key.namespace, meta["name"], {"spec": body["spec"]})
        return await api.apply(body)

    def _remember(self, key: Key, child: tuple[str, str], fields: frozenset[str]) -> None:
        known = self._rewritten.setdefault(key, {})
        known.pop(child, None)
        if fields:
            known[child] = fields
        if not known:
            del self._rewritten[key]

    async def _mark_idlest(self, key: Key, seen: Observation) -> None:
        """Say which pods to take first, whoever asked for fewer."""
        costs = self._world.insight.costs(key) if self._world.insight else {}
        for pod in seen.pods:
            if not pod.leaving and costs.get(pod.name, pod.cost) != pod.cost:
                annotation = {"metadata": {"annotations": {DELETION_COST: str(costs[pod.name])}}}
                try:
                    await self._world.api.patch("Pod", key.namespace, pod.name, annotation)
                except ApiError as error:
                    log.info("%s: pod %s not marked: %s", key, pod.name, error)


def _shrinks(body: Mapping[str, Any], seen: Observation) -> bool:
    before = seen.deployments.get(body["metadata"]["name"])
    return before is not None and body["spec"]["replicas"] < (before["spec"].get("replicas") or 0)
