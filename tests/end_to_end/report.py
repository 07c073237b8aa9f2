"""What the run found, as a file: minutes of each phase, and the table of faults."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.loads import Counted
from tests.end_to_end.threads import POOLS, Inside


@dataclass
class Report:
    """Lines, in the order in which they were found.

    Attributes:
        path: Where they are written, after each one: a run that is ended keeps what it has.
    """

    path: Path
    phases: list[tuple[str, float]] = field(default_factory=list)
    faults: list[tuple[str, Counted]] = field(default_factory=list)
    insides: list[tuple[str, Inside]] = field(default_factory=list)

    def phase(self, name: str, seconds: float) -> None:
        """A part of the run has taken so long."""
        self.phases.append((name, seconds))
        self._write()

    def fault(self, name: str, counted: Counted) -> None:
        """What two clients counted meanwhile."""
        self.faults.append((name, counted))
        self._write()

    def threads(self, name: str, inside: Inside) -> None:
        """What computed in a pod under load."""
        self.insides.append((name, inside))
        self._write()

    def table_of_faults(self) -> str:
        """In Markdown."""
        lines = ["| under load from two clients | sent | answered | retried | lost |", "|---|---|---|---|---|"]
        lines += [f"| {name} | {it.sent} | {it.answered} | {it.retried} | {it.lost} |" for name, it in self.faults]
        return "\n".join(lines)

    def table_of_threads(self) -> str:
        """In Markdown."""
        kinds = [*POOLS, "FFmpeg"]
        lines = [
            f"| pod | its cores | {' | '.join(kinds)} | periods | throttled |",
            f"|{'---|' * (len(kinds) + 4)}",
        ]
        for name, it in self.insides:
            counted = " | ".join(str(it.busy[kind]) for kind in kinds)
            lines.append(
                f"| {name} | {len(it.cores)} of {os.cpu_count()} | {counted} | {it.periods} | {it.throttled} |"
            )
        return "\n".join(lines)

    def _write(self) -> None:
        lines = ["| phase | minutes |", "|---|---|"]
        lines += [f"| {name} | {seconds / 60:.1f} |" for name, seconds in self.phases]
        lines += ["", self.table_of_faults()]
        lines += ["", self.table_of_threads()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(lines) + "\n")
