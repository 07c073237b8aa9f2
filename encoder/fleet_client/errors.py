"""What the client raises, as a tree.

::

    EncodeError               one item has no embedding
    ├── Refused               final: no encoder of this fleet will take it
    │   ├── Invalid           not a media file that can be encoded, or it cannot be read
    │   ├── TooLarge          over a limit of the pool
    │   ├── Incompatible      other protocol version, or a modality that no encoder serves
    │   └── Expired           its deadline passed while an encoder had it
    ├── Unavailable           worth trying again later
    │   ├── Busy              every encoder was full until the deadline
    │   ├── Draining          every encoder was going away until the deadline
    │   ├── Unreachable       no encoder answered until the deadline
    │   ├── MediaUnreachable  the host of its URL fails or is too slow
    │   ├── Lost              encoder after encoder died with it
    │   └── Internal          encoder after encoder failed on it
    └── Cancelled             its caller, or the closing of the client, cancelled it
    ClientClosed              the client was used after `close`, or in a forked process

The text of an exception says what to do about it.
"""

from typing import TYPE_CHECKING

from fleet_client.protocol import Status

if TYPE_CHECKING:
    from fleet_client.encoding import Encoding


class EncodeError(Exception):
    """One item has no embedding.

    Attributes:
        status: As the wire calls it; None where no encoder was involved.
        endpoint: The encoder that said so, empty where it was none in particular.
        attempts: How often the item was sent.
        index: Of the item among those given to `encode` or `stream`.
        results: On the one that `encode` raises: what became of every item, in order.
    """

    status: Status | None = None

    def __init__(self, message: str, *, endpoint: str = "", attempts: int = 0) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.attempts = attempts
        self.index: int | None = None
        self.results: list[Encoding | EncodeError] = []


class Refused(EncodeError):
    """Final: sending the item again changes nothing."""


class Invalid(Refused):
    """The item cannot be encoded, here or elsewhere, or its file cannot be read."""

    status = Status.INVALID


class TooLarge(Refused):
    """The item is over a limit of the pool; the message names the limit."""

    status = Status.TOO_LARGE


class Incompatible(Refused):
    """No encoder speaks this client's protocol version, or none serves the item's modality."""

    status = Status.INCOMPATIBLE


class Expired(Refused):
    """The deadline passed while an encoder had the item."""

    status = Status.EXPIRED


class Unavailable(EncodeError):
    """Nothing is wrong with the item: try again later."""


class Busy(Unavailable):
    """Every encoder was full until the deadline.

    Attributes:
        retry_after: Seconds until there may be room, as the last encoder that was asked said.
    """

    status = Status.BUSY
    retry_after: float = 1.0


class Draining(Unavailable):
    """Every encoder was going away until the deadline."""

    status = Status.DRAINING


class Unreachable(Unavailable):
    """No encoder answered until the deadline; the message names each endpoint and what is wrong with it."""


class MediaUnreachable(Unavailable):
    """The host of the item's URL fails or is too slow: try later, or send the bytes.

    No other encoder is asked: it would ask the same host.
    """

    status = Status.MEDIA_UNREACHABLE


class Lost(Unavailable):
    """Encoder after encoder died while it had the item: the item may be what kills them."""


class Internal(Unavailable):
    """Encoder after encoder failed on the item: a defect, or lost devices; their logs have the tracebacks."""

    status = Status.INTERNAL


class Cancelled(EncodeError):
    """The item's caller cancelled it, or the client was closed."""

    status = Status.CANCELLED


class ClientClosed(RuntimeError):
    """The client was used after `close`, or in a process that was forked from the client's."""
