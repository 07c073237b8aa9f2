"""A snapshot and what was made of it -> the pool's status. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet_operator.api.status import MAX_LOAD, Condition, EnvRow, Load, PoolStatus, ShapeRow
from fleet_operator.cluster_plan import ShapePlan
from fleet_operator.environment import model_source
from fleet_operator.quantity import format_quantity
from fleet_operator.reconcile.conditions import findings, totals
from fleet_operator.reconcile.desired import Desired
from fleet_operator.reconcile.finding import Finding
from fleet_operator.reconcile.observation import Observation, Trouble
from fleet_operator.specs.names import POOL_LABEL, deployment_name
from fleet_operator.specs.runtime import runtime
from fleet_operator.timestamps import write_time

_LONGEST_MESSAGE = 4096
_LONGEST_LINE = 1024
_LONGEST_VALUE = 317
_MOST_ROWS = 64


def status(seen: Observation, made: Desired, troubles: Sequence[Trouble]) -> dict[str, Any]:
    """The whole status, as JSON.

    Args:
        seen: The snapshot.
        made: What shall be.
        troubles: Writes that failed at this visit.
    """
    name = seen.pool.metadata.name
    replicas, ready = totals(seen.deployments.values())
    rows = tuple(_row(row, made, seen) for row in made.plan.rows)
    result = PoolStatus(
        observed_generation=seen.generation,
        replicas=replicas,
        ready_replicas=ready,
        selector=f"{POOL_LABEL}={name}",
        threads=_summary(rows),
        model=_model(seen),
        fingerprint=seen.status.get("fingerprint", "") if seen.fingerprint is None else seen.fingerprint,
        thread_plan=_shown(rows),
        conditions=_conditions(findings(seen, made, troubles), seen),
        **_load(seen),
    ).model_dump(by_alias=True, exclude_none=True, mode="json")
    # A text that says nothing is a line of noise in `kubectl describe`.
    result = {name: value for name, value in result.items() if value != ""}
    if "lastScale" in seen.status:
        result["lastScale"] = seen.status["lastScale"]  # the autoscaler's to write
    return result


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch from one status to another; empty where they are the same."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            # A merge patch keeps what it does not name, also inside.
            if inner := difference(before, value):
                patch[name] = inner
        elif before != value:
            patch[name] = value
    return patch


def _row(row: ShapePlan, made: Desired, seen: Observation) -> ShapeRow:
    shape, share = row.shape, row.share
    deployment = deployment_name(seen.pool.metadata.name, row.name)
    there = seen.deployments.get(deployment)
    count = made.replicas.get(row.name, 0)
    return ShapeRow(
        name=row.name,
        deployment=deployment if there or count else "",
        nodes=shape.nodes if shape else 0,
        allocatable_cpus=format_quantity(shape.cpus) if shape else "",
        held_cpus=format_quantity(shape.held + row.others) if shape else "",
        reserved_cpus=format_quantity(seen.pool.spec.resources.reserved_cpus) if shape else "",
        gpus=shape.gpus if shape else 0,
        cpus_per_replica=share.cpus,
        gpus_per_replica=share.gpus,
        fit=share.fit,
        reason=share.reason[:_LONGEST_LINE],
        replicas=count,
        ready_replicas=((there or {}).get("status") or {}).get("readyReplicas") or 0,
        env=_env(row, seen),
    )


def _env(row: ShapePlan, seen: Observation) -> tuple[EnvRow, ...]:
    """Thread variables that the pod's program gets, as it gets them."""
    theirs = {each["name"]: each for each in seen.pool.spec.pod_template.env}
    told = {each.name for each in runtime(seen.pool, row.env, seen.images).env}
    result = []
    for each in row.budget.env() if row.budget else ():
        if each.name in theirs:
            value = str(theirs[each.name].get("value") or "")[:_LONGEST_VALUE]
            reason = f"overridden by spec.podTemplate.env; planned: {each.value}"
            result.append(EnvRow(name=each.name, value=value, reason=reason))
        elif each.name in told:
            result.append(EnvRow(name=each.name, value=each.value, reason=each.reason))
    return tuple(result)


def _shown(rows: tuple[ShapeRow, ...]) -> tuple[ShapeRow, ...]:
    """As many as a status may have; those in use, if there are more."""
    first = sorted(rows, key=lambda row: (not row.deployment, row.name))[:_MOST_ROWS]
    return tuple(sorted(first, key=lambda row: row.name))


def _summary(rows: Iterable[ShapeRow]) -> str:
    """CPUs of a replica by shape; of the shapes in use, where some are."""
    planned = [row for row in rows if row.cpus_per_replica]
    used = [row for row in planned if row.replicas] or planned
    return ",".join(str(cpus) for cpus in sorted({row.cpus_per_replica for row in used}, reverse=True))[:128]


def _model(seen: Observation) -> str:
    model = seen.pool.spec.model
    where, value = model_source(model)
    if where == "pvc" and model.pvc is not None:
        value = "/".join(filter(None, (model.pvc.claim_name, model.pvc.path)))
    text = f"{value}@{model.revision}" if model.revision else value
    return text if len(text) <= 317 else f"...{text[-314:]}"


def _load(seen: Observation) -> dict[str, Any]:
    """What the autoscaler found. Load is as it was when the recommendation last changed: no write every second."""
    decision, before, spec = seen.decision, seen.status, seen.pool.spec
    if decision is None and spec.autoscaling.mode == "Off":
        return {}
    if decision is None or (
        before.get("recommendedReplicas") == decision.recommended
        and before.get("bottleneck", "") == decision.bottleneck
        and "load" in before
    ):
        return {
            "bottleneck": before.get("bottleneck", ""),
            "recommended_replicas": before.get("recommendedReplicas"),
            "recommendation": before.get("recommendation", ""),
            "load": Load.model_validate(before["load"]) if "load" in before else None,
        }
    return {
        "bottleneck": decision.bottleneck,
        "recommended_replicas": decision.recommended,
        "recommendation": decision.reason[:_LONGEST_LINE],
        "load": Load(
            demand_patches_per_second=_bounded(decision.demand),
            served_patches_per_second=_bounded(decision.served),
            capacity_patches_per_second=_bounded(decision.capacity),
            pending_patches=_bounded(decision.pending),
        ),
    }


def _bounded(number: int) -> int:
    """What strange encoders tell may be more than a status can say."""
    return min(number, MAX_LOAD)


def _conditions(found: Iterable[Finding], seen: Observation) -> tuple[Condition, ...]:
    before = {each.get("type"): each for each in seen.status.get("conditions") or ()}
    return tuple(_condition(each, before.get(each.type), seen.generation, seen.now) for each in found)


def _condition(found: Finding, before: Mapping[str, Any] | None, generation: int, now: datetime) -> Condition:
    same = before is not None and before.get("status") == found.status
    since = before["lastTransitionTime"] if same and before else write_time(now)
    return Condition.model_validate(
        {
            "type": found.type,
            "status": found.status,
            "observedGeneration": generation,
            "lastTransitionTime": since,
            "reason": found.reason,
            "message": found.message[:_LONGEST_MESSAGE],
        }
    )
