"""One item on its way, and what the router can want done about it. Plain values."""

from dataclasses import dataclass, field

from fleet_client.errors import EncodeError
from fleet_client.protocol import Modality


@dataclass(slots=True)
class Job:
    """One item on its way.

    Attributes:
        id: On the wire.
        modality: Of the item.
        size: Media bytes to send; 0 for an URL.
        deadline: When nobody wants it any more; infinite for never.
        endpoint: Where it is now; None while it waits.
        attempts: How often it was sent.
        lost_at: Encoders that died or hung with it, once for each time.
        avoid: Encoders that failed on it.
        left_at: Encoders that it was taken from, but that may still work on it.
        setback: The last reason why it had to wait or move.
    """

    id: str
    modality: Modality
    size: int
    deadline: float = float("inf")
    endpoint: str | None = None
    attempts: int = 0
    lost_at: list[str] = field(default_factory=list)
    avoid: set[str] = field(default_factory=set)
    left_at: set[str] = field(default_factory=set)
    setback: EncodeError | None = None


@dataclass(frozen=True, slots=True)
class Greet:
    """Send a Hello."""

    address: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send the item; `attempt` tells this sending from later ones."""

    address: str
    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Send a Cancel: nobody waits for that encoder's answer."""

    address: str
    id: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Tell the caller."""

    id: str
    error: EncodeError


Action = Greet | Send | Abandon | Fail
