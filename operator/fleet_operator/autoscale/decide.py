"""Load and capacity -> how many replicas are right, and why. Pure; how fast to go there is said by `behavior`.

Replicas needed are the work there is over what one does at its target: ``work / (capacity x utilization)``, where

* work is the patches per second asked for, less what the cache answers, and what waits beyond one second's work, to be
  done within `targets.backlogSeconds`. Neither saturates: where every replica is full, demand of 1.5 times and of
  3 times what they do are still told apart, which utilisation, and what was admitted or served, cannot.
* capacity is of one replica (see `capacity`).

**Refused work is offered again.** A client that was told BUSY asks the next encoder at once, and all of them again
after the time that they name; so under overload one item counts several times, and the number is too high, never too
low. That is bounded: by `behavior.scaleUp` (at most twice as many replicas, or four more, in 15 seconds where nothing
else is said), by `maxReplicas`, and by itself: replicas that were added take the refused items in, repeats end, and the
next decision sees plain demand. What was too many goes after the downward window.

**Pods without a sample** are taken as a HorizontalPodAutoscaler does: downwards they are loaded to the target,
upwards they have no load, and neither turns the direction. Within 10 percent of what there is, nothing changes.
"""

from dataclasses import dataclass
from math import ceil
from typing import Literal

from fleet_operator.api.scaling import Autoscaling
from fleet_operator.autoscale.capacity import Capacity
from fleet_operator.autoscale.figures import counted, short
from fleet_operator.autoscale.loads import PoolLoad

TOLERANCE = 0.1
"""Part of the present number within which the needed one is no reason to change it."""

IDLE = 0.2
"""Busy share below which replicas are nearly idle; over `capacity.MIN_BUSY`, so that above it capacity is measured."""

Bottleneck = Literal["cpu", "device", ""]
Basis = Literal["load", "hold", "fallback", "disabled"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How many replicas the load asks for.

    Attributes:
        replicas: So many, within the pool's bounds.
        bottleneck: What limits the replicas; empty where they are nearly idle.
        reason: Why so many, in one line.
        basis: What it rests on: `load`; `hold`, as too little is known; `fallback`, as nothing has been known for long;
            `disabled`, as the pool has no replicas and gets none.
    """

    replicas: int
    bottleneck: Bottleneck
    reason: str
    basis: Basis


def recommend(
    spec: Autoscaling,
    *,
    current: int,
    ready: int,
    load: PoolLoad,
    capacity: Capacity,
    answered: int,
    silent_seconds: float,
) -> Recommendation:
    """How many replicas are right now.

    Args:
        spec: Bounds, targets and fallback.
        current: `spec.replicas` of the pool.
        ready: Pods that serve.
        load: Of those of them that have a sample.
        capacity: Of a replica.
        answered: Pods that answered, serving or not.
        silent_seconds: Since any did.
    """
    if current == 0:
        return Recommendation(0, "", "the pool has 0 replicas: set spec.replicas to scale it by load", "disabled")
    if not load.pods:
        replicas, reason, basis = _unseen(spec, current, answered, silent_seconds)
    elif capacity.per_replica is None:
        replicas, reason, basis = _unmeasured(spec, current, ready, load)
    else:
        replicas, reason, basis = _measured(spec, current, ready, load, capacity, capacity.per_replica)
    bounded = max(spec.min_replicas, min(spec.max_replicas, replicas))
    if bounded > replicas:
        reason += f"; minReplicas is {bounded}"
    elif bounded < replicas:
        reason += f"; maxReplicas is {bounded}"
    return Recommendation(bounded, _bottleneck(load), reason, basis)


_Found = tuple[int, str, Basis]


def _unseen(spec: Autoscaling, current: int, answered: int, silent_seconds: float) -> _Found:
    fallback = spec.fallback
    if answered:
        return current, f"no ready replica has told its load yet: {current} held", "hold"
    if fallback.replicas is None or silent_seconds < fallback.after_seconds:
        return current, f"no replica tells its load: {current} held", "hold"
    silent = f"no replica has told its load for {fallback.after_seconds} s"
    return max(current, fallback.replicas), f"{silent}: at least {fallback.replicas} (fallback.replicas)", "fallback"


def _unmeasured(spec: Autoscaling, current: int, ready: int, load: PoolLoad) -> _Found:
    """Nothing is known of a replica's capacity: replicas that are full say that one more is needed, not how many."""
    target = spec.targets.utilization_percent / 100
    unknown = (
        f"what a replica can encode is not known yet; {counted(load.pods, 'replica')} {_percent(load.share_busy)} busy"
    )
    if load.share_busy >= target and (load.pending > 0 or load.offered > load.served):
        if ready < current:
            return current, f"{unknown}: {current} held until all are ready", "hold"
        return current + 1, f"{unknown}, {short(load.pending)} patches waiting: one more", "load"
    if load.share_busy < IDLE:
        needed = min(current, ceil(_enough_for_idle(load, target)) + max(0, ready - load.pods))
        return needed, f"{unknown}: {needed} needed", "load"
    return current, f"{unknown}: {current} held", "hold"


def _measured(
    spec: Autoscaling, current: int, ready: int, load: PoolLoad, capacity: Capacity, per_replica: float
) -> _Found:
    target = spec.targets.utilization_percent / 100
    missing = max(0, ready - load.pods)
    backlog = max(0.0, load.pending - per_replica * load.pods)
    work = load.offered * capacity.work_share + backlog / spec.targets.backlog_seconds
    exact = work / (per_replica * target)
    if load.share_busy < IDLE and not backlog:
        exact = min(exact, _enough_for_idle(load, target))
    upwards = exact > load.pods
    if not upwards:
        exact += missing
    needed = ceil(exact - 1e-9)  # 3 replicas' work, divided and multiplied, may be a little over 3
    able = per_replica * load.pods * target / capacity.work_share
    reason = (
        f"{short(load.offered)} patches/s asked for{_beside(load, capacity, backlog)}, "
        f"{counted(load.pods, 'replica')} {'does' if load.pods == 1 else 'do'} {short(able)} "
        f"at {spec.targets.utilization_percent} %: {needed} needed"
    )
    if missing:
        reason += f" with {missing} not seen, taken to be {'idle' if upwards else 'at the target'}"
    if abs(exact / current - 1) <= TOLERANCE:
        return current, reason if needed == current else f"{reason}, {current} is within 10 %", "load"
    replicas = max(current, needed) if upwards else min(current, needed)
    return replicas, reason if replicas == needed else f"{reason}, {replicas} kept", "load"


def _enough_for_idle(load: PoolLoad, target: float) -> float:
    """Replicas for a pool that is nearly idle: as if it were as busy as `IDLE`.

    So neither a pool of unknown capacity nor one whose media became much cheaper stays large for good.
    """
    return load.pods * IDLE / target


def _beside(load: PoolLoad, capacity: Capacity, backlog: float) -> str:
    parts = []
    if capacity.cached_share >= 0.05:
        parts.append(f"{_percent(capacity.cached_share)} of them cached")
    if backlog:
        parts.append(f"{short(backlog)} waiting")
    elif load.share_busy < IDLE:
        parts.append("nearly idle")
    return f" ({', '.join(parts)})" if parts else ""


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _bottleneck(load: PoolLoad) -> Bottleneck:
    if load.share_busy < IDLE:
        return ""
    return "device" if load.device_busy > load.cpu_busy else "cpu"
