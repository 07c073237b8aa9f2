"""One decision about replicas, from what was seen and what is remembered. Pure.

A state can be lost at any time: an empty one knows no capacity and has no history, and so holds what there is until
pods have been seen at work, and takes nothing away before a full downward window.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet_operator.api.scaling import Autoscaling
from fleet_operator.autoscale.behavior import History, follow
from fleet_operator.autoscale.capacity import Capacity, learn
from fleet_operator.autoscale.decide import Basis, Bottleneck, Recommendation, recommend
from fleet_operator.autoscale.figures import two_digits
from fleet_operator.autoscale.loads import PodLoad, pool_load


@dataclass(frozen=True, slots=True)
class Observation:
    """A pool at one moment.

    Attributes:
        replicas: `spec.replicas`.
        ready: Pods that serve.
        loads: Pod -> its load, of the pods that have a sample, also those that are not ready yet or drain.
        answered: Pods that were read, those included whose load is not known yet: that takes a second reading.
    """

    replicas: int
    ready: int
    loads: Mapping[str, PodLoad]
    answered: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that was decided, at `time`; made once the pool has `new` replicas."""

    time: float
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class State:
    """What one decision leaves to the next.

    Attributes:
        capacity: Of a replica.
        history: For windows and policies.
        seen: When a pod last answered, in seconds; or the first decision, or when there were no replicas.
        asked: The last decision, where it was a change.
    """

    capacity: Capacity = field(default_factory=Capacity)
    history: History = field(default_factory=History)
    seen: float | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why. Loads are sums over serving pods, to two digits.

    Attributes:
        replicas: To have now.
        recommended: That the load asks for, before `behavior`.
        bottleneck: `cpu`, `device`, or empty where the pool is nearly idle.
        reason: In one line.
        basis: `load`, `hold`, `fallback` or `disabled`: see `Recommendation`.
        demand: Patches per second asked for, the rejected included.
        served: Patches per second delivered.
        capacity: Patches per second that the ready replicas can deliver while the cache answers as much as it does; 0
            where it is not known.
        pending: Patches taken in and not yet answered.
    """

    replicas: int
    recommended: int
    bottleneck: Bottleneck
    reason: str
    basis: Basis
    demand: int
    served: int
    capacity: int
    pending: int


def step(spec: Autoscaling, state: State, observed: Observation, now: float) -> tuple[State, Decision]:
    """Decide.

    Args:
        spec: Of the pool.
        state: Left by the last decision; `State()` where there is none.
        observed: The pool now.
        now: Seconds of a clock that never goes back, the one of the readings.
    """
    load = pool_load(observed.loads.values())
    capacity = learn(state.capacity, load, now)
    # Where there is nobody to be seen, nobody is missed.
    seen = now if state.seen is None or observed.answered or observed.replicas == 0 else state.seen
    recommendation = recommend(
        spec,
        current=observed.replicas,
        ready=observed.ready,
        load=load,
        capacity=capacity,
        answered=observed.answered,
        silent_seconds=now - seen,
    )
    history = _with_what_was_done(state, observed.replicas)
    history, replicas, reason = _next(spec, history, observed.replicas, recommendation, now)
    asked = Asked(now, observed.replicas, replicas) if replicas != observed.replicas else None
    decision = Decision(
        replicas=replicas,
        recommended=recommendation.replicas,
        bottleneck=recommendation.bottleneck,
        reason=reason,
        basis=recommendation.basis,
        demand=two_digits(load.offered),
        served=two_digits(load.served),
        capacity=two_digits((capacity.per_replica or 0.0) * observed.ready / capacity.work_share),
        pending=two_digits(load.pending),
    )
    return State(capacity, history, seen, asked), decision


def _with_what_was_done(state: State, current: int) -> History:
    """A change counts once it is seen: one that was only advised, or failed, uses up no policy."""
    asked = state.asked
    if asked is None or asked.new != current:
        return state.history
    return state.history.changed(asked.time, asked.old, asked.new)


def _next(
    spec: Autoscaling, history: History, current: int, recommendation: Recommendation, now: float
) -> tuple[History, int, str]:
    if recommendation.basis == "disabled":
        return History(), current, recommendation.reason
    bounded = max(spec.min_replicas, min(spec.max_replicas, current))
    if bounded != current:
        # As an autoscaler of Kubernetes does: bounds that somebody moved are no load to be careful with.
        field_name = "minReplicas" if bounded > current else "maxReplicas"
        return history, bounded, f"{current} replicas, {field_name} is {bounded}"
    history, following = follow(spec.behavior, history, current=current, recommended=recommendation.replicas, now=now)
    replicas = max(spec.min_replicas, min(spec.max_replicas, following.replicas))
    held = f"; {replicas} for now, {following.held_by}" if following.held_by else ""
    return history, replicas, recommendation.reason + held
