"""One visit to a pool: observe, plan, apply, report. Touches the world and decides nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fleet_operator.api import EncoderPool, PoolError
from fleet_operator.api.crd import APPLY
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Subject
from fleet_operator.nodes.shapes import Shape, label_keys, shapes
from fleet_operator.observed.mirror import Key
from fleet_operator.reconcile.changes import changes
from fleet_operator.reconcile.desired import desired, unasked
from fleet_operator.reconcile.invalid import invalid_status
from fleet_operator.reconcile.late import lacking
from fleet_operator.reconcile.news import news
from fleet_operator.reconcile.observation import Observation, Trouble
from fleet_operator.reconcile.refusals import meddled
from fleet_operator.reconcile.status import difference, status
from fleet_operator.reconcile.turns import taking_turns
from fleet_operator.reconcile.world import World
from fleet_operator.reconcile.writing import GoneError, Writer
from fleet_operator.specs.names import deployment_name

BLOCKED_SECONDS = 5.0
"""How soon to look again at a name that another object has."""
TROUBLE_SECONDS = 60.0
"""How soon to try again what only somebody's change can mend: a right, a quota, a name."""

OUTDATED = Trouble(
    "DefinitionOutdated",
    "the EncoderPool definition in the cluster is not this operator's: "
    f"{APPLY} of its version, then restart the operator",
)


class Reconciler:
    """Visits pools."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._writer = Writer(world)

    async def visit(self, key: Key) -> float | None:
        """Make the pool what it shall be. Returns after how many seconds to look again without a cause.

        Raises:
            ApiError: Something failed that may pass by itself: try again later. What could be done and told is.
        """
        body = self._world.mirror.pools.get(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._writer.forget(key)
            return None  # its children go by their ownerReferences
        try:
            return await self._visit(key, body)
        except GoneError:
            self._writer.forget(key)
            return 0.0 if key in self._world.mirror.pools else None  # another one may have its name

    async def _visit(self, key: Key, body: Mapping[str, Any]) -> float | None:
        try:
            pool = self._world.mirror.parsed(key)
        except PoolError as error:
            problems = "; ".join(map(str, error.problems))
            await self._report(key, body, invalid_status(body, problems, _now(), outdated=self._world.outdated))
            return None
        seen = self._snapshot(key, pool, body, self._shapes(pool), {})
        made = desired(seen)
        # Where much is held on the shape that seemed best, another one is, and is asked for in its turn.
        while shapes_to_ask := unasked(made, seen):
            seen = replace(seen, others={**seen.others, **await self._held(key, pool, shapes_to_ask)})
            made = desired(seen)
        rewritten = self._writer.rewritten(key)
        missing = [] if pool.spec.paused else changes(made.objects, seen.children, seen.uid, rewritten)
        counts = {deployment_name(key.name, shape): count for shape, count in made.replicas.items()}
        missing, waiting = taking_turns(missing, pool, seen.deployments, counts)
        made = replace(made, waiting=waiting)
        outcome = await self._writer.write(key, missing, seen)
        if missing:  # what was written has changed what was seen
            seen = self._snapshot(key, pool, body, seen.shapes, seen.others)
        troubles = [*outcome.troubles, *([OUTDATED] if self._world.outdated else []), *lacking(pool, self._world.late)]
        await self._report(key, body, status(seen, made, [*troubles, *meddled(self._writer.rewritten(key))]))
        if outcome.error is not None:
            raise outcome.error
        passing = [BLOCKED_SECONDS if each.reason == "WaitingForDeletion" else TROUBLE_SECONDS for each in troubles]
        return min([*passing, *([made.again] if made.again is not None else [])], default=None)

    def _shapes(self, pool: EncoderPool) -> tuple[Shape, ...] | None:
        if not self._world.reads_nodes:
            return None
        fleet = self._world.mirror.fleet
        fleet.look_at(label_keys(pool.spec))
        return shapes(pool.spec, fleet.classes, self._world.mirror.daemons)

    async def _held(self, key: Key, pool: EncoderPool, there: Iterable[Shape]) -> dict[str, Decimal]:
        device = pool.spec.resources.gpu_resource
        return {shape.name: await self._world.occupancy.held(shape.some, device, key) for shape in there}

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
            fingerprint=insight.fingerprint(key) if insight else None,
            refusal=insight.refusal(key) if insight else "",
            consumers=self._world.registrations.report(key) if self._world.registrations else None,
            now=_now(),
        )

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
            if error.code in (404, 409):  # it is gone, or another one has its name, and the event may be missed
                await self._writer.look_up(key, uid)
            raise
        self._world.mirror.update_pool(answer)
        for each in news(old, new):
            await self._world.recorder.record(Subject(*key, uid), each.type, each.reason, each.message)


def _now() -> datetime:
    return datetime.now(UTC)
