"""One condition of a pool, as it is found: without its times."""

from dataclasses import dataclass

PAUSED = "spec.paused: nothing is written until it is false"


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition, without its times."""

    type: str
    status: str
    reason: str
    message: str
