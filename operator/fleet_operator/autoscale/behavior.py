"""How fast replicas follow a recommendation, as `behavior` of a HorizontalPodAutoscaler does it. Pure.

First the windows: upwards the lowest recommendation of the upward window counts, downwards the highest of the downward
one, and what lies between the two changes nothing. Then the policies: each says how far replicas may be from what they
were a period ago, counting what was added and removed since; `selectPolicy` says which of them counts.

Percentages are exact here: upwards rounded up, or one replica would never become two, downwards rounded down. (Upstream
computes them in floating point, where 10 percent more than 100 may become 111.)
"""

from dataclasses import dataclass

from fleet_operator.api.scaling import ScalingBehavior, ScalingPolicy, ScalingRules

UP_WINDOW_SECONDS = 0
DOWN_WINDOW_SECONDS = 300
UP_POLICIES = (
    ScalingPolicy(type="Pods", value=4, periodSeconds=15),
    ScalingPolicy(type="Percent", value=100, periodSeconds=15),
)
DOWN_POLICIES = (ScalingPolicy(type="Percent", value=100, periodSeconds=15),)
MAX_PERIOD_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class At:
    """A number at a time in seconds: replicas recommended, or replicas added (removed: below 0)."""

    time: float
    replicas: int


@dataclass(frozen=True, slots=True)
class History:
    """What windows and periods look back on, oldest first.

    Attributes:
        recommendations: As the load alone would have it.
        changes: That were made.
    """

    recommendations: tuple[At, ...] = ()
    changes: tuple[At, ...] = ()

    def changed(self, time: float, old: int, new: int) -> "History":
        """With a change of replicas that was made at `time`."""
        kept = tuple(each for each in self.changes if each.time > time - MAX_PERIOD_SECONDS)
        return History(self.recommendations, (*kept, At(time, new - old)))

    def change_since(self, time: float) -> int:
        """Replicas added less those removed after `time`."""
        return sum(each.replicas for each in self.changes if each.time > time)


@dataclass(frozen=True, slots=True)
class Step:
    """Replicas to have now, and what kept them from what was recommended; empty where nothing did."""

    replicas: int
    held_by: str


def follow(
    behavior: ScalingBehavior, history: History, *, current: int, recommended: int, now: float
) -> tuple[History, Step]:
    """The next step from `current` towards `recommended`, at `now` in seconds.

    The first recommendation of an empty history is `current`: whoever starts anew knows nothing of the last minutes,
    and takes nothing away before a full window has said so.
    """
    up_window = _window(behavior.scale_up, UP_WINDOW_SECONDS)
    down_window = _window(behavior.scale_down, DOWN_WINDOW_SECONDS)
    before = history.recommendations or (At(now, current),)
    lowest = min([recommended, *(each.replicas for each in before if each.time > now - up_window)])
    highest = max([recommended, *(each.replicas for each in before if each.time > now - down_window)])
    stable = min(max(current, lowest), highest)
    kept = tuple(each for each in before if each.time > now - max(up_window, down_window))
    history = History((*kept, At(now, recommended)), history.changes)

    held_by = ""
    if stable != recommended:
        upwards = recommended >= current
        held_by = (
            f"the lowest of the last {up_window} s counts"
            if upwards
            else f"the highest of the last {down_window} s counts"
        )
    if stable > current:
        limit = max(current, _limit(behavior.scale_up, UP_POLICIES, history, current, now, up=True))
        if stable > limit:
            return history, Step(limit, "as fast as behavior.scaleUp lets it")
    elif stable < current:
        limit = min(current, _limit(behavior.scale_down, DOWN_POLICIES, history, current, now, up=False))
        if stable < limit:
            return history, Step(limit, "as fast as behavior.scaleDown lets it")
    return history, Step(stable, held_by)


def _window(rules: ScalingRules, otherwise: int) -> int:
    return otherwise if rules.stabilization_window_seconds is None else rules.stabilization_window_seconds


def _limit(
    rules: ScalingRules, otherwise: tuple[ScalingPolicy, ...], history: History, current: int, now: float, *, up: bool
) -> int:
    """Replicas that the policies allow at most (`up`) or at least."""
    if rules.select_policy == "Disabled":
        return current
    limits = [
        _allowed(policy, current - history.change_since(now - policy.period_seconds), up=up)
        for policy in rules.policies or otherwise
    ]
    # The most change upwards is the largest limit, downwards the smallest.
    return max(limits) if (rules.select_policy == "Max") == up else min(limits)


def _allowed(policy: ScalingPolicy, start: int, *, up: bool) -> int:
    """Where one policy lets replicas go that were `start` when its period began."""
    if policy.type == "Pods":
        return start + policy.value if up else start - policy.value
    return -(-start * (100 + policy.value) // 100) if up else start * (100 - policy.value) // 100
