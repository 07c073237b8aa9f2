"""A pool that behaves like one: replicas of a true capacity, demand that they meet or do not, and time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fleet_operator.api.scaling import Autoscaling
from fleet_operator.autoscale import Decision, Observation, PodLoad, State, step


def autoscaling(**fields: Any) -> Autoscaling:
    """A spec, of camelCase fields; up to 100 replicas where nothing is said."""
    return Autoscaling.model_validate({"maxReplicas": 100, **fields})


def pod(offered: float = 0.0, *, busy: float = 0.0, **fields: Any) -> PodLoad:
    """A pod that encodes all that is offered, its CPU so busy."""
    flow = {"offered": offered, "served": offered, "computed": offered, "pending": 0.0}
    return PodLoad(**{**flow, "cpu_busy": busy, "device_busy": 0.0, **fields})


@dataclass
class World:
    """See the module.

    Attributes:
        spec: Of the pool.
        replicas: That it has.
        capacity: True patches per second of a replica.
        cached: Part of what is asked for that the cache answers.
        admitted: Patches that a replica lets wait; more is refused.
        retries: How often a patch that is refused is offered in all.
        start_seconds: Until a new replica is ready.
        looks_busy: How busy replicas look that are loaded so much, both 0 to 1.
        decisions: When, replicas before, and what was decided.
    """

    spec: Autoscaling
    replicas: int = 1
    capacity: float = 10_000.0
    cached: float = 0.0
    admitted: float = 50_000.0
    retries: float = 1.0
    start_seconds: float = 0.0
    looks_busy: Callable[[float], float] = lambda load: load
    now: float = 1000.0
    pending: float = 0.0
    state: State = field(default_factory=State)
    starting: list[float] = field(default_factory=list)
    decisions: list[tuple[float, int, Decision]] = field(default_factory=list)

    def run(self, demand: float, *, seconds: float = 15.0, unseen: int = 0) -> Decision:
        """Let `demand` patches per second come for `seconds`, then decide and scale; `unseen` pods have no sample."""
        self.now += seconds
        self.starting = [when for when in self.starting if when > self.now]
        ready = self.replicas - len(self.starting)
        able, wanted = ready * self.capacity, demand * (1 - self.cached)
        waiting = max(0.0, self.pending + (wanted - able) * seconds)
        self.pending = min(waiting, ready * self.admitted)
        refused = (waiting - self.pending) / seconds
        computed = able if waiting else wanted
        each = pod(
            offered=(demand + refused * (self.retries - 1)) / max(1, ready),
            served=(computed + demand * self.cached) / max(1, ready),
            computed=computed / max(1, ready),
            pending=self.pending / max(1, ready),
            busy=self.looks_busy(min(1.0, computed / able)) if able else 0.0,
        )
        loads = {f"pod-{n}": each for n in range(ready - unseen)}
        seen = Observation(self.replicas, ready, loads, len(loads))
        self.state, decision = step(self.spec, self.state, seen, self.now)
        self.decisions.append((self.now, self.replicas, decision))
        added = decision.replicas - self.replicas
        if added > 0 and self.start_seconds:
            self.starting += [self.now + self.start_seconds] * added
        self.starting = self.starting[: max(0, len(self.starting) + min(0, added))]
        self.replicas = decision.replicas
        return decision

    def run_for(self, demand: float, seconds: float) -> list[int]:
        """Replicas after each step of 15 seconds."""
        return [self.run(demand).replicas for _ in range(round(seconds / 15))]
