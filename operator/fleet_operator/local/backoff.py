"""What to do about a replica that ended although nobody asked it to. Pure.

As a kubelet does: restart, wait twice as long each time, forget the past once it has run well for a while. Unlike a
kubelet, `up` has somebody in front of it: what a restart is not likely to mend ends it with one line.
"""

from dataclasses import dataclass
from signal import Signals

FIRST_DELAY = 1.0
MAX_DELAY = 30.0
HEALTHY_SECONDS = 60.0
CANNOT_START = 2
"""Exit code of an encoder whose last line says what is in the way: a setting, the model, a port, a hub out of reach."""
MAX_FAILED_STARTS = 5


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run of a replica ended.

    Attributes:
        code: Exit code; -n for signal n; None where no process could be started.
        ready_seconds: How long it was ready, 0 where it never was.
        why: In words, where the code does not tell it.
    """

    code: int | None
    ready_seconds: float = 0.0
    why: str = ""

    @property
    def how(self) -> str:
        """In words: `it ...`."""
        return self.why or describe(self.code)


@dataclass(frozen=True, slots=True)
class History:
    """What counts of the runs before.

    Attributes:
        failures: Ends in a row without a minute of health between.
        was_ready: It has been ready at least once.
    """

    failures: int = 0
    was_ready: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after `delay` seconds; `history` is for the next decision."""

    delay: float
    history: History


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No restart will help. `exit_code` is what the program that waits for the replica should end with."""

    exit_code: int
    reason: str


def after(ended: Ended, history: History) -> Restart | GiveUp:
    """Decide about a replica that ended without being asked to.

    What was ready once has settings that are right: then a code 2 is a port that is taken for a moment, or a
    model's folder that is away with its network, and passes.
    """
    was_ready = history.was_ready or ended.ready_seconds > 0
    if not was_ready and ended.code == CANNOT_START:
        return GiveUp(CANNOT_START, "cannot start")
    if not was_ready and ended.code is None:
        return GiveUp(1, ended.how)
    before = 0 if ended.ready_seconds >= HEALTHY_SECONDS else history.failures
    failures = before + 1
    if not was_ready and failures >= MAX_FAILED_STARTS:
        return GiveUp(1, f"never became ready in {failures} starts, the last time it {ended.how}")
    # The exponent is bounded too: 2.0 ** 2000 would raise.
    return Restart(min(FIRST_DELAY * 2.0 ** min(before, 16), MAX_DELAY), History(failures, was_ready))


def describe(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "could not be started"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
