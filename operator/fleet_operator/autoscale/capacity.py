"""How many patches a second a replica can encode, learnt from replicas at work. Pure.

**What it means.** Patches that go through a forward pass, over the time that the busiest resource was busy for them. An
answer from the cache is not among them: it takes no decoding and no forward pass, and with it the number would jump
whenever callers ask for the same media again. How much of the demand the cache answers is kept beside it
(`computed_share`), to tell how much of what is asked for has to be encoded.

**How it is estimated.** As a ratio of sums over pods and time, not a median or a high quantile: a long video is counted
when its last pass ends, so a window of one pod has nothing or everything, and their median is neither. Sums over pods
are also right where shapes differ: the mean of small and large replicas is what a pool of them can do. What would
break a sum, counters that start anew, is sorted out in `samples`.

**What counts.** Below saturation batches are small and CPU slots are seen at moments only, so a replica that is half
busy says little, and one that is nearly idle nothing (`MIN_BUSY`). New evidence replaces the old as fast as it is
the stronger: saturation corrects what was learnt of a quiet pool at once, a quiet night hardly touches what was learnt
by day. An encoder that is stuck is busy and encodes nothing: it lowers the estimate, as it does what the pool can do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet_operator.autoscale.samples import PodLoad

MIN_BUSY = 0.2
"""Below this a replica's rate over its busy share is a ratio of two small numbers, mostly noise."""

MIN_COMPUTED_SHARE = 0.2
"""Replicas that answer less than this by encoding are busy with reading and sending, which says little of encoding."""

CACHED_COST = 0.05
"""Work of an answer from the cache, against one that is encoded: its media are still read, hashed, and answered."""

RECENT_SECONDS = 60.0
"""Half-life of what is summed up of late."""

LEARNING_SECONDS = 120.0
"""Half-life of the estimate, where new evidence is as strong as the old: a mix of media that changes changes it."""


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
        per_replica: Patches per second that a replica can encode; None until one was seen at work.
        strength: Of the evidence for it, 1 for saturated replicas.
        recent: What was seen of late.
        time: Of the last look, in seconds.
    """

    per_replica: float | None = None
    strength: float = 0.0
    recent: Recent = field(default_factory=Recent)
    time: float | None = None

    @property
    def computed_share(self) -> float:
        """Part of the patches asked for that is work, 0 to 1: those not in the cache, and a little for the others."""
        share = self.recent.computed / self.recent.served if self.recent.served else 1.0
        return max(CACHED_COST, min(1.0, share))


def learn(known: Capacity, loads: Iterable[PodLoad], now: float) -> Capacity:
    """What is known after another look at the pods, at `now` in seconds."""
    serving = [load for load in loads if load.ready and not load.draining]
    if not serving or (known.time is not None and now <= known.time):
        return known
    seen = Recent(
        pods=len(serving),
        busy=sum(load.busy for load in serving),
        computed=sum(load.computed for load in serving),
        served=sum(load.served for load in serving),
    )
    seconds = None if known.time is None else now - known.time
    recent = known.recent.mixed(seen, 1.0 if seconds is None else 1.0 - 0.5 ** (seconds / RECENT_SECONDS))
    looked = Capacity(known.per_replica, known.strength, recent, now)
    busy = recent.busy / recent.pods
    if busy < MIN_BUSY or not recent.computed or looked.computed_share < MIN_COMPUTED_SHARE:
        return looked
    measured, strength = recent.computed / recent.busy, busy**4
    if known.per_replica is None or seconds is None:
        return Capacity(measured, strength, recent, now)
    part = 1.0 - 0.5 ** (strength / known.strength * seconds / LEARNING_SECONDS)
    return Capacity(
        known.per_replica + part * (measured - known.per_replica),
        known.strength + part * (strength - known.strength),
        recent,
        now,
    )
