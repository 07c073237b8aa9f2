"""Which waiting items nobody will ever take. Pure.

Looking at every item after every message would cost more than the rest of the client: an item is looked at when it
begins to wait, and all of a modality only when the encoders together take less than before.
"""

import math
from collections.abc import Collection, Mapping

from fleet_client import verdicts
from fleet_client.choosing import candidates
from fleet_client.endpoint import Endpoint, Phase
from fleet_client.errors import EncodeError
from fleet_client.jobs import Job
from fleet_client.protocol import MODALITIES, Modality
from fleet_client.queues import Queues


class Prospects:
    """What is known about it.

    Attributes:
        changed: What an encoder takes is not what it was, or it is away: set it, `hopeless` clears it.
        unchecked: Items to look at.
    """

    def __init__(self) -> None:
        self.changed = True
        self.unchecked: set[str] = set()
        self._tried: set[str] = set()  # items that an encoder failed at
        self._limits: dict[Modality, float] = dict.fromkeys(MODALITIES, math.inf)  # of the encoder that takes the most

    def failed(self, item: str) -> None:
        """An encoder failed at an item: it depends on the others."""
        self._tried.add(item)

    def forget(self, item: str) -> None:
        """An item ended."""
        self._tried.discard(item)
        self.unchecked.discard(item)

    def hopeless(
        self, queue: Queues, jobs: Mapping[str, Job], endpoints: Collection[Endpoint], now: float
    ) -> list[tuple[Job, EncodeError]]:
        """Items that wait in vain, with what to tell. `endpoints` may get something new; without any, items wait."""
        if self.changed:
            self.changed = False
            self.unchecked |= self._new_limits(queue, endpoints) | self._tried
        items, self.unchecked = self.unchecked, set()
        found: list[tuple[Job, EncodeError]] = []
        for job in (jobs[item] for item in items if item in queue):
            small = job.size <= self._limits[job.modality]
            objection = None if small else verdicts.objection_of_all(endpoints, job.modality, job.size)
            if objection is not None:
                found.append((job, objection))
            elif job.avoid and job.setback is not None and not candidates(endpoints, job):
                down = (each for each in endpoints if each.phase is Phase.DOWN and each.address not in job.avoid)
                if any(now < each.given_up_at for each in down):
                    self.unchecked.add(job.id)  # one may be back in a moment
                else:
                    found.append((job, job.setback))
        return found

    def _new_limits(self, queue: Queues, endpoints: Collection[Endpoint]) -> set[str]:
        """Of which items' modality they became less."""
        items: set[str] = set()
        for modality in MODALITIES:
            limit = max((each.limit(modality) for each in endpoints), default=math.inf)
            if limit < self._limits[modality]:
                items |= queue.of(modality)
            self._limits[modality] = limit
        return items
