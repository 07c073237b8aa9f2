"""Who may be given an item now, and who of them gets it. Pure.

* An encoder that answered INTERNAL lately fails fast and looks idle: while another is well, it gets one item at a
  time, after a pause that grows with each failure. Where none is well, all are asked.
* An item whose encoders died twice is a suspect: it is alone at its encoder, so that nothing dies with it. Suspects
  have at most half of the encoders at a time.
* When the first encoder answers, the others are mostly about to: for a moment it gets only its share.
"""

import math
from collections.abc import Collection, Iterable

from fleet_client.endpoint import Endpoint, Phase
from fleet_client.jobs import Job
from fleet_client.protocol import Modality

SETTLE_SECONDS = 0.3
"""After the first Welcome of all: how long the other encoders are waited for before one gets more than its share."""


def nobody_well(endpoints: Iterable[Endpoint], modality: Modality, now: float) -> bool:
    """Whether every encoder for a modality is away, or failed at the last thing that it was asked."""
    return not any(each.well(now) and each.limit(modality) >= 0 for each in endpoints)


def all_answered(endpoints: Iterable[Endpoint]) -> bool:
    """Whether no encoder is about to say what it is."""
    return not any(each.phase in (Phase.DOWN, Phase.GREETED) for each in endpoints)


def fair_share(endpoints: Collection[Endpoint], items: int, settled_at: float, now: float) -> float:
    """How many of the `items` one encoder may hold until `settled_at`, when those that are there have answered."""
    if now >= settled_at:
        return math.inf
    return math.ceil(items / max(1, sum(each.phase is not Phase.MISMATCHED for each in endpoints)))


def candidates(endpoints: Iterable[Endpoint], job: Job, besides: str = "") -> list[Endpoint]:
    """Encoders that are there and may take an item, now or later."""
    there = (Phase.SERVING, Phase.WAITING, Phase.GREETED)
    return [each for each in endpoints if each.phase in there and each.address != besides and _may_have(each, job)]


class Openings:
    """The encoders that have room at one moment; tell it by `changed` what was given away.

    Args:
        endpoints: All that may get something new.
        modalities: Of the items that wait.
        share: How many items one may hold.
    """

    def __init__(
        self, endpoints: Collection[Endpoint], modalities: Iterable[Modality], now: float, share: float
    ) -> None:
        self._now, self._share = now, share
        self._pressed = {each: nobody_well(endpoints, each, now) for each in modalities}
        self._ready = {
            modality: [each for each in endpoints if each.limit(modality) >= 0 and each.ready(now, pressed)]
            for modality, pressed in self._pressed.items()
        }
        self._open = {
            modality: [each for each in ready if self._has_room(each, modality)]
            for modality, ready in self._ready.items()
        }
        serving = sum(each.phase is Phase.SERVING for each in endpoints)
        self._cells = max(1, serving // 2) - sum(each.alone for each in endpoints)

    def any(self, modality: Modality) -> bool:
        """Whether an encoder has room for a modality."""
        return bool(self._open.get(modality))

    def choose(self, job: Job) -> Endpoint | None:
        """Who gets an item: who has the least work."""
        able = [each for each in self._open[job.modality] if _may_have(each, job)]
        return min(able, key=lambda each: (job.lost_at.count(each.address), each.load, each.used), default=None)

    def choose_cell(self, job: Job) -> Endpoint | None:
        """Who gets a suspect; where that one still has other items of ours, it is kept free for the suspect."""
        able = [each for each in self._ready[job.modality] if _may_have(each, job)] if self._cells > 0 else []
        if not able:
            return None
        chosen = min(able, key=lambda each: (job.lost_at.count(each.address), each.mine, each.load, each.used))
        self._cells -= 1
        for lists in (self._ready, self._open):
            for modality, every in lists.items():
                lists[modality] = [each for each in every if each is not chosen]
        return None if chosen.outstanding else chosen

    def changed(self, endpoint: Endpoint) -> None:
        """It was given an item: has it still room?"""
        for modality, every in self._open.items():
            if not self._has_room(endpoint, modality):
                self._open[modality] = [each for each in every if each is not endpoint]

    def _has_room(self, endpoint: Endpoint, modality: Modality) -> bool:
        return len(endpoint.outstanding) < self._share and endpoint.open(self._now, self._pressed[modality])


def _may_have(endpoint: Endpoint, job: Job) -> bool:
    return endpoint.address not in job.avoid and endpoint.suits(job.modality, job.size)
