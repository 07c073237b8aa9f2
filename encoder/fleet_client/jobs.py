"""One item on its way, and what the router can want done about it. Plain values."""

from dataclasses import dataclass, field

from fleet_client.errors import EncodeError
from fleet_client.protocol import Modality

SUSPECT_LOSSES = 2
"""An item whose encoders died so often may be what kills them."""


@dataclass(slots=True)
class Job:
    """One item on its way.

    Attributes:
        id: On the wire.
        modality: Of the item.
        size: Media bytes to send; 0 for an URL, and for a file until it is measured.
        deadline: When nobody wants it any more; infinite for never.
        order: Number among all items of the client.
        endpoint: Where it is now; None while it waits.
        attempts: How often it was sent.
        lost_at: Encoders that died or hung with it, once for each time.
        avoid: Encoders that failed on it.
        failures: How many of them were well until then: the others fail at everything.
        left_at: Encoders that it was taken from, but that may still work on it.
        setback: The last reason why it had to wait or move.
    """

    id: str
    modality: Modality
    size: int
    deadline: float = float("inf")
    order: int = 0
    endpoint: str | None = None
    attempts: int = 0
    lost_at: list[str] = field(default_factory=list)
    avoid: set[str] = field(default_factory=set)
    failures: int = 0
    left_at: set[str] = field(default_factory=set)
    setback: EncodeError | None = None

    @property
    def suspect(self) -> bool:
        """Whether it must be alone at an encoder, for the others' sake."""
        return len(self.lost_at) >= SUSPECT_LOSSES


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
class Part:
    """Close the connection: the encoder is none of ours any more, and has nothing of ours."""

    address: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Tell the caller."""

    id: str
    error: EncodeError


Action = Greet | Send | Abandon | Part | Fail
