"""A pool on the nodes of a cluster -> what runs on which of them, and why. Pure.

The same thread budget and settings as on one machine (`plan.py`), with a node's share in place of a machine's.

A shape that has pods keeps the share that it was planned with, whatever joins, leaves or starts on its nodes: another
share would be other threads, hence a restart of every pod there. What would be planned now is said in the row. A change
of the fields that a share is made of plans anew, as that restarts the pods anyway; so does the annotation REPLAN.

Where that leaves pods on a shape that would not be planned any more, as its nodes are not the pool's now or have become
too small, they keep their share, and the row is *former*: they go as soon as the others come (`nodes/distribute.py`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from fleet_operator.api import EncoderPool
from fleet_operator.api.pool import GROUP
from fleet_operator.environment import EnvVar, settings
from fleet_operator.kept_plan import Kept
from fleet_operator.nodes.shapes import Shape
from fleet_operator.nodes.share import Share, blind_share, share
from fleet_operator.threads import ThreadBudget, budget
from fleet_operator.wording import counted

REPLAN = f"{GROUP}/replan"
"""Annotation of a pool: with another value, shares are computed anew."""
UNPINNED = "unpinned"
"""Name of the row whose pods may run on any node: nodes cannot be read, or there is none yet."""


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """A replica on nodes of one shape.

    Attributes:
        shape: The nodes; None where there is none to look at: for `UNPINNED`, or where nodes cannot be read.
        name: Of the shape, or `UNPINNED`.
        labels: Value of each shape label; none for `UNPINNED`.
        share: CPUs and GPUs of a replica. With 0 CPUs nothing can run here.
        others: CPUs of a node that other pods held when it was looked at.
        inputs: `inputs_hash` that the share was made with; other than the plan's for a former row.
        budget: Threads; None where nothing can run.
        env: Environment of a replica, but for what only the pod knows.
        note: What would be planned now, where that is something else; else empty.
    """

    shape: Shape | None
    name: str
    labels: tuple[tuple[str, str | None], ...]
    share: Share
    others: Decimal
    inputs: str
    budget: ThreadBudget | None = None
    env: tuple[EnvVar, ...] = ()
    note: str = ""

    @property
    def places(self) -> int | None:
        """Replicas that the nodes take; None where nobody knows."""
        return None if self.shape is None else self.shape.usable * self.share.fit

    @property
    def kept(self) -> Kept:
        """To be remembered with the pods."""
        return Kept(self.name, self.labels, self.share.cpus, self.share.gpus, self.inputs, self.others)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool is on a cluster.

    Attributes:
        rows: One a shape, sorted by name.
        inputs: Hash of what shares are made of.
        warnings: What may not be as intended, one line each.
    """

    rows: tuple[ShapePlan, ...]
    inputs: str
    warnings: tuple[str, ...]

    @property
    def runnable(self) -> tuple[ShapePlan, ...]:
        """The rows where a replica can run."""
        return tuple(row for row in self.rows if row.share.cpus)

    @property
    def current(self) -> tuple[ShapePlan, ...]:
        """Of these, the rows that are as the pool is now: replicas of the others are to leave."""
        return tuple(row for row in self.runnable if row.inputs == self.inputs)


def inputs_hash(pool: EncoderPool) -> str:
    """Hash of the fields that a share is made of.

    Of those that are not as by default: else a version of the operator with one field more would plan every pool anew.
    """
    parts = (pool.spec.resources, pool.spec.threads, pool.spec.scheduling)
    text = "".join(part.model_dump_json(exclude_defaults=True) for part in parts)
    return hashlib.sha256((text + pool.metadata.annotations.get(REPLAN, "")).encode()).hexdigest()[:12]


def plan_pool(
    pool: EncoderPool,
    shapes: Iterable[Shape] | None,
    others: Mapping[str, Decimal],
    kept: Iterable[Kept],
) -> PoolPlan:
    """What `pool` is.

    Args:
        pool: The pool.
        shapes: Nodes that it may use; None where nodes cannot be read.
        others: By shape: CPUs of a node that other pods hold, where that was looked at.
        kept: What the pods that there are were planned with.
    """
    inputs = inputs_hash(pool)
    before = {each.shape: each for each in kept}
    unpinned = before.pop(UNPINNED, None)
    rows = [_row(pool, shape, others.get(shape.name), before.pop(shape.name, None), inputs) for shape in shapes or ()]
    rows += [_gone(pool, each, readable=shapes is not None) for each in before.values()]
    needed = not any(row.share.cpus and row.inputs == inputs for row in rows)
    rows += _unpinned(pool, unpinned, inputs, needed=needed)
    warnings = [warning for row in rows if row.budget for warning in row.budget.warnings()]
    return PoolPlan(tuple(sorted(rows, key=lambda row: row.name)), inputs, tuple(dict.fromkeys(warnings)))


def _row(pool: EncoderPool, shape: Shape, looked_at: Decimal | None, kept: Kept | None, inputs: str) -> ShapePlan:
    others = Decimal(0) if looked_at is None else looked_at
    if kept is not None and (kept.inputs == inputs or looked_at is None):
        others = kept.others
    now = share(shape, others, pool.spec.resources)
    row = ShapePlan(shape, shape.name, shape.labels, now, others, inputs)
    if kept is None or (kept.cpus, kept.gpus) == (now.cpus, now.gpus) or (kept.inputs != inputs and now.cpus):
        return _planned(pool, row)
    fit = max(0, int(shape.cpus - shape.held - others)) // kept.cpus
    fit = min(fit, shape.gpus // kept.gpus) if kept.gpus else fit
    reason = f"kept at {kept.cpus}, as pods run with it; now it would be: {now.reason}"
    was, would = _amounts(kept.cpus, kept.gpus), _amounts(now.cpus, now.gpus)
    note = f"{shape.name}: {was} a replica are kept, {would} would be planned now"
    held = Share(kept.cpus, kept.gpus, fit, reason)
    return _planned(pool, replace(row, share=held, inputs=kept.inputs, note=note))


def _gone(pool: EncoderPool, kept: Kept, *, readable: bool) -> ShapePlan:
    """Pods whose nodes are all gone, or are not the pool's any more, or cannot be looked at."""
    reason = "no node of this shape takes the pool's pods" if readable else "nodes cannot be read"
    there = Share(kept.cpus, kept.gpus, 0, f"kept at {kept.cpus}, as pods run with it; {reason} now")
    nothing = Shape(kept.shape, kept.labels, 0, 0, Decimal(0), 0, Decimal(0))
    note = f"{kept.shape}: {counted(kept.cpus, 'CPU')} a replica are kept, {reason}"
    shape, note = (nothing, "") if readable else (None, note)
    return _planned(pool, ShapePlan(shape, kept.shape, kept.labels, there, kept.others, kept.inputs, note=note))


def _unpinned(pool: EncoderPool, kept: Kept | None, inputs: str, *, needed: bool) -> list[ShapePlan]:
    """Pods that may run on any node: those that there are, or where no shape can be planned."""
    blind = blind_share(pool.spec.resources)
    if needed and blind is not None:
        return [_planned(pool, ShapePlan(None, UNPINNED, (), blind, Decimal(0), inputs))]
    if kept is None:
        return []
    there = Share(kept.cpus, kept.gpus, 0, "planned without nodes, from spec.resources")
    return [_planned(pool, ShapePlan(None, UNPINNED, (), there, Decimal(0), kept.inputs))]


def _amounts(cpus: int, gpus: int) -> str:
    told = counted(cpus, "CPU")
    return f"{told} and {counted(gpus, 'GPU')}" if gpus else told


def _planned(pool: EncoderPool, row: ShapePlan) -> ShapePlan:
    """With threads and environment, where a replica can run."""
    if not row.share.cpus:
        return row
    threads = budget(row.share.cpus, row.share.gpus, pool.spec.threads)
    return replace(row, budget=threads, env=threads.env() + settings(pool, gpus=row.share.gpus))
