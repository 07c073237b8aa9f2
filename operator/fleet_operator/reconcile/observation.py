"""What one visit to a pool goes by: a snapshot, all plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.autoscale import Decision
from fleet_operator.consumers.report import Report
from fleet_operator.nodes.shapes import Shape
from fleet_operator.observed.children import Child
from fleet_operator.observed.pods import PodState
from fleet_operator.specs.runtime import Images

REWRITTEN = "Rewritten"
"""Reason of the one trouble that keeps nothing from being done."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A write that failed, or that did not do what it should.

    Attributes:
        reason: One word: `Forbidden`, `Rejected`, `NameTaken`, `ApiUnavailable`, `Rewritten`.
        message: What happened and what to do.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """A pool and what is around it.

    Attributes:
        pool: As it shall be.
        uid: Of the pool.
        generation: Of the pool's spec.
        status: As it was written last.
        shapes: Nodes that it may use; None where nodes cannot be read.
        others: By shape: CPUs of a node that pods hold which are nobody's share.
        children: What belongs to it, by kind and name.
        pods: Its pods.
        kinds: Optional kinds that the cluster has.
        images: Where the pool names none.
        decision: What the autoscaler last found, None where it does not look or has not yet.
        now: UTC.
        fingerprint: Of the model that the encoders serve; empty where they do not agree, None where it is not known.
        refusal: Why the autoscaler's last decision could not be done; empty where it could.
        deployments: Of the children, the pool's own Deployments, by name.
        consumers: How far its language servers know its encoders; None where nobody has looked yet.
    """

    pool: EncoderPool
    uid: str
    generation: int
    status: Mapping[str, Any]
    shapes: tuple[Shape, ...] | None
    others: Mapping[str, Decimal]
    children: Mapping[tuple[str, str], Child]
    pods: tuple[PodState, ...]
    kinds: frozenset[str]
    images: Images
    decision: Decision | None
    now: datetime
    fingerprint: str | None = None
    refusal: str = ""
    deployments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    consumers: Report | None = None

    def __post_init__(self) -> None:
        if self.deployments:
            return  # of the snapshot that this one replaces
        bodies = {
            name: child.body
            for (kind, name), child in self.children.items()
            if kind == "Deployment" and child.owner == self.uid
        }
        object.__setattr__(self, "deployments", bodies)
