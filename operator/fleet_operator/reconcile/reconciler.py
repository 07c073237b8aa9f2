"""One visit to a pool: observe, plan, apply, report. Touches the world and decides nothing."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.api.crd import APPLY
from fleet_operator.autoscale import Decision
from fleet_operator.cluster_plan import inputs_hash
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Recorder, Subject
from fleet_operator.nodes.shapes import Shape, label_keys, shapes
from fleet_operator.observed.children import read_child
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.observed.occupancy import Occupancy
from fleet_operator.reconcile.changes import Blocked, Change, Delete, Resize, changes
from fleet_operator.reconcile.desired import desired, kept
from fleet_operator.reconcile.invalid import invalid_status
from fleet_operator.reconcile.news import news
from fleet_operator.reconcile.observation import Observation, Trouble
from fleet_operator.reconcile.status import difference, status
from fleet_operator.reconcile.turns import taking_turns
from fleet_operator.specs.names import DELETION_COST, deployment_name
from fleet_operator.specs.runtime import Images

log = logging.getLogger(__name__)

BLOCKED_SECONDS = 5.0
"""How soon to look again at a name that another object has."""
TROUBLE_SECONDS = 60.0
"""How soon to try again what only somebody's change can mend: a right, a quota, a name."""


OUTDATED = Trouble(
    "DefinitionOutdated",
    "the EncoderPool definition in the cluster is not this operator's: "
    f"{APPLY} of its version, then restart the operator",
)


class Insight(Protocol):
    """What the encoders of a pool say of themselves; see `scaling.scaler`."""

    def decision(self, key: Key) -> Decision | None:
        """About its replicas."""

    def fingerprint(self, key: Key) -> str:
        """Of its model."""

    def costs(self, key: Key) -> Mapping[str, int]:
        """Of deleting each pod."""


@dataclass
class World:
    """What a reconciler works with.

    Attributes:
        api: The API server.
        mirror: What is known of the cluster.
        recorder: Of events.
        images: Where a pool names none.
        kinds: Optional kinds that the cluster has.
        reads_nodes: Whether nodes are watched.
        occupancy: What other pods hold on nodes.
        outdated: Whether the definition in the cluster is not this operator's.
        insight: What is known of the encoders themselves.
    """

    api: Api
    mirror: Mirror
    recorder: Recorder
    images: Images
    kinds: frozenset[str]
    reads_nodes: bool
    occupancy: Occupancy
    outdated: bool = False
    insight: Insight | None = None


class Reconciler:
    """Visits pools."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def visit(self, key: Key) -> float | None:
        """Make the pool what it shall be. Returns after how many seconds to look again without a cause.

        Raises:
            ApiError: The API server cannot be reached, or asks to be left alone: try again later.
        """
        body = self._world.mirror.pools.get(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return None  # its children go by their ownerReferences
        try:
            pool = self._world.mirror.parsed(key)
        except PoolError as error:
            await self._report(key, body, invalid_status(body, "; ".join(map(str, error.problems)), _now()))
            return None
        seen = await self._observe(key, pool, body)
        made = desired(seen)
        missing = [] if pool.spec.paused else changes(made.objects, seen.children, seen.uid)
        counts = {deployment_name(key.name, shape): count for shape, count in made.replicas.items()}
        missing, waiting = taking_turns(missing, pool, seen.deployments, counts)
        made = replace(made, waiting=waiting)
        troubles = await self._write(key, missing, seen)
        if missing:  # what was written has changed what was seen
            seen = self._snapshot(key, pool, body, seen.shapes, seen.others)
        if self._world.outdated:
            troubles.append(OUTDATED)
        await self._report(key, body, status(seen, made, troubles))
        passing = [BLOCKED_SECONDS if each.reason == "WaitingForDeletion" else TROUBLE_SECONDS for each in troubles]
        return min([*passing, *([made.again] if made.again is not None else [])], default=None)

    async def _observe(self, key: Key, pool: EncoderPool, body: Mapping[str, Any]) -> Observation:
        if not self._world.reads_nodes:
            return self._snapshot(key, pool, body, None, {})
        fleet = self._world.mirror.fleet
        fleet.look_at(label_keys(pool.spec))
        there = shapes(pool.spec, fleet.classes, self._world.mirror.daemons)
        first = self._snapshot(key, pool, body, there, {})
        # Only of shapes that have no plan yet, or one of other inputs: any other plan is kept.
        inputs = inputs_hash(pool)
        known = {each.shape for each in kept(first.deployments.values()) if each.inputs == inputs}
        others = {
            shape.name: await self._world.occupancy.held(shape.some, pool.spec.resources.gpu_resource, key)
            for shape in there
            if shape.name not in known
        }
        return replace(first, others=others)

    def _snapshot(
        self,
        key: Key,
        pool: EncoderPool,
        body: Mapping[str, Any],
        there: tuple[Shape, ...] | None,
        others: Mapping[str, Decimal],
    ) -> Observation:
        mirror, insight = self._world.mirror, self._world.insight
        return Observation(
            pool=pool,
            uid=body["metadata"]["uid"],
            generation=body["metadata"]["generation"],
            status=(mirror.pools.get(key) or body).get("status") or {},
            shapes=there,
            others=others,
            children=dict(mirror.children(key)),
            pods=mirror.pods(key),
            kinds=self._world.kinds,
            images=self._world.images,
            decision=insight.decision(key) if insight else None,
            fingerprint=insight.fingerprint(key) if insight else "",
            now=_now(),
        )

    async def _write(self, key: Key, missing: list[Change], seen: Observation) -> list[Trouble]:
        """Make every change that is missing; one that fails keeps none of the others from being made."""
        troubles = []
        for change in missing:
            try:
                trouble = await self._change(key, change, seen)
            except ApiError as error:
                if error.passing:
                    raise
                trouble = Trouble(*_explain(error))
            if trouble is not None:
                troubles.append(trouble)
        return troubles

    async def _change(self, key: Key, change: Change, seen: Observation) -> Trouble | None:
        api, mirror = self._world.api, self._world.mirror
        if isinstance(change, Blocked):
            return _taken(change.body, passing=change.passing)
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
                return _taken(change.body, passing=child.leaving or bool(child.owner))
        if change.restores:
            await self._world.recorder.record(
                Subject(*key, seen.uid), "Normal", "Restored", f"{kind} {name} was changed by somebody: put back"
            )
        mirror.put_child(read_child(kind, await api.apply(change.body)))
        return None

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

    async def _report(self, key: Key, body: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Write the status where it differs, and say what is new in it."""
        old = (self._world.mirror.pools.get(key) or body).get("status") or {}
        patch = difference(old, new)
        if not patch:
            return
        uid = body["metadata"]["uid"]
        try:
            answer = await self._world.api.patch(
                "EncoderPool",
                key.namespace,
                key.name,
                {"metadata": {"uid": uid}, "status": patch},
                subresource="status",
            )
        except ApiError as error:
            if error.code in (404, 409):
                return  # it is gone, or another one has its name: either comes as an event
            raise
        self._world.mirror.put_pool(answer)
        for each in news(old, new):
            await self._world.recorder.record(Subject(*key, uid), each.type, each.reason, each.message)


def _shrinks(body: Mapping[str, Any], seen: Observation) -> bool:
    before = seen.deployments.get(body["metadata"]["name"])
    return before is not None and body["spec"]["replicas"] < (before["spec"].get("replicas") or 0)


def _now() -> datetime:
    return datetime.now(UTC)


def _taken(body: Mapping[str, Any], *, passing: bool) -> Trouble:
    what = f"{body['kind']} {body['metadata']['name']}"
    if passing:
        return Trouble("WaitingForDeletion", f"{what} of a deleted pool of this name is still going")
    return Trouble("NameTaken", f"{what} is there and not this pool's: rename or delete it, or rename the pool")


def _explain(error: ApiError) -> tuple[str, str]:
    if error.code == 403:
        return "Forbidden", f"the operator may not {error.what}: give its service account that right. {error}"
    if error.code == 404:
        return "NotServed", f"cannot {error.what}: {error}"
    return "Rejected", f"the API server refuses to {error.what}: {error}"
