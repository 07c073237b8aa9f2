"""How many patches a second a replica can encode, learnt from replicas at work. Pure.

**What it means.** Patches that go through a forward pass, over the time that the busiest resource was busy for them.
One from the cache counts as a twentieth of that (`CACHED_COST`): were it counted in full, the number would jump
whenever callers ask for the same media again. How much work a patch is that is asked for, at what the cache answers
now, is kept beside it (`work_share`).

**How it is estimated.** As a ratio of sums over pods and time, not a median or a high quantile: a long video is counted
when its last pass ends, so a window of one pod has nothing or everything, and their median is neither. Sums over pods
are also right where shapes differ: the mean of small and large replicas is what a pool of them can do. What would
break a sum, counters that start anew, is sorted out in `loads`.

**What counts.** Below saturation batches are small and CPU slots are seen at moments only, so a replica that is half
busy says little, and one that is nearly idle nothing (`MIN_BUSY`). New evidence replaces the old as fast as it is
the stronger: saturation corrects what was learnt of a quiet pool within minutes; a pool that became quiet, as its media
became cheaper, takes an hour or so to show it. An encoder that is stuck is busy and encodes nothing: it lowers the
estimate, as it does what the pool can do.
"""

from dataclasses import dataclass, field

from fleet_operator.autoscale.loads import PoolLoad

MIN_BUSY = 0.15
"""Below this a replica's rate over its busy share is a ratio of two small numbers, mostly noise."""

CACHED_COST = 0.05
"""Work of a patch from the cache, where one that is encoded is 1: its media are read and hashed, its embedding sent."""

SLOWEST = 1.0
"""Patches per second of a replica that is not simply stuck."""

RECENT_SECONDS = 60.0
"""Half-life of what is summed up of late."""

LEARNING_SECONDS = 120.0
"""Half-life of the estimate, where new evidence is as strong as the old: a mix of media that changes changes it."""

LEAST_STRENGTH = 0.05
"""Of evidence that is weaker than the old: in the long run the pool is what it is now."""


@dataclass(frozen=True, slots=True)
class Recent:
    """Sums over serving pods, averaged over time, the last minute most.

    Attributes:
        pods: How many.
        busy: Their busy shares.
        computed: Patches per second that they encoded.
        served: Patches per second that they delivered.
    """

    pods: float = 0.0
    busy: float = 0.0
    computed: float = 0.0
    served: float = 0.0

    @property
    def work(self) -> float:
        """Patches per second, those from the cache for less."""
        return self.computed + CACHED_COST * max(0.0, self.served - self.computed)

    def mixed(self, now: "Recent", part: float) -> "Recent":
        """This, with `part` of it replaced."""

        def mix(old: float, new: float) -> float:
            return old + part * (new - old)

        return Recent(
            mix(self.pods, now.pods),
            mix(self.busy, now.busy),
            mix(self.computed, now.computed),
            mix(self.served, now.served),
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is known; nothing yet where it is empty.

    Attributes:
        per_replica: Patches per second that a replica can encode; None until one was seen at work. At least 1.
        strength: Of the evidence for it, 1 for saturated replicas.
        recent: What was seen of late.
        time: Of the last look, in seconds.
    """

    per_replica: float | None = None
    strength: float = 0.0
    recent: Recent = field(default_factory=Recent)
    time: float | None = None

    @property
    def cached_share(self) -> float:
        """Part of the patches delivered that came from the cache, or with an identical item."""
        return max(0.0, 1.0 - self.recent.computed / self.recent.served) if self.recent.served else 0.0

    @property
    def work_share(self) -> float:
        """Work of a patch that is asked for: 1 where none is cached, `CACHED_COST` where all are."""
        share = self.recent.work / self.recent.served if self.recent.served else 1.0
        return max(CACHED_COST, min(1.0, share))  # after a quiet day both are too small to divide well


def learn(known: Capacity, load: PoolLoad, now: float) -> Capacity:
    """What is known after another look at the pool, at `now` in seconds."""
    if not load.pods or (known.time is not None and now <= known.time):
        return known
    seen = Recent(load.pods, load.busy, load.computed, load.served)
    seconds = None if known.time is None else now - known.time
    recent = known.recent.mixed(seen, 1.0 if seconds is None else 1.0 - 0.5 ** (seconds / RECENT_SECONDS))
    busy = recent.busy / recent.pods
    if busy < MIN_BUSY or not recent.work:
        return Capacity(known.per_replica, known.strength, recent, now)
    measured, strength = max(SLOWEST, recent.work / recent.busy), busy**4
    if known.per_replica is None or seconds is None:
        return Capacity(measured, strength, recent, now)
    part = 1.0 - 0.5 ** (max(LEAST_STRENGTH, strength / known.strength) * seconds / LEARNING_SECONDS)
    return Capacity(
        known.per_replica + part * (measured - known.per_replica),
        known.strength + part * (strength - known.strength),
        recent,
        now,
    )
