"""Items that wait for an encoder: a line for each modality, and one for suspects. Pure.

Lines of their own, so that many images that wait cost nothing while an idle encoder only takes audio.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator

from fleet_client.jobs import Job
from fleet_client.protocol import MODALITIES, Modality

_Line = OrderedDict[str, Job]


class Queues:
    """All that waits."""

    def __init__(self) -> None:
        self._lines: dict[Modality, _Line] = {modality: OrderedDict() for modality in MODALITIES}
        self._suspects: _Line = OrderedDict()
        self._where: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, item: str) -> bool:
        return item in self._where

    def add(self, job: Job, *, first: bool = False) -> None:
        """Put `job` at the end of its line, or at the head."""
        line = self._suspects if job.suspect else self._lines[job.modality]
        line[job.id] = job
        line.move_to_end(job.id, last=not first)
        self._where[job.id] = line

    def remove(self, item: str) -> None:
        """It waits no more; nothing happens where it did not."""
        line = self._where.pop(item, None)
        if line is not None:
            del line[item]

    def suspects(self) -> list[Job]:
        """Those that must be alone at an encoder."""
        return [*self._suspects.values()]

    def modalities(self) -> set[Modality]:
        """Of all that waits."""
        waiting: set[Modality] = {modality for modality, line in self._lines.items() if line}
        return waiting | {job.modality for job in self._suspects.values()}

    def of(self, modality: Modality) -> set[str]:
        """Items of a modality, suspects among them."""
        return {*self._lines[modality], *(job.id for job in self._suspects.values() if job.modality == modality)}

    def oldest_first(self, wanted: Callable[[Modality], bool]) -> Iterator[Job]:
        """All but the suspects; a line is left as soon as its modality is not wanted any more."""
        return heapq.merge(
            *(_walk(line, each, wanted) for each, line in self._lines.items()), key=lambda job: job.order
        )


def _walk(line: _Line, modality: Modality, wanted: Callable[[Modality], bool]) -> Iterator[Job]:
    for job in line.values():
        if not wanted(modality):
            return
        yield job
