"""What can go wrong with one item, as exceptions that the wire turns into a typed reply.

::

    ItemError                 the item fails, and nothing else does
    ├── Invalid               it cannot be encoded, here or elsewhere
    │   └── AskedTwice        it is being delivered already, or was
    ├── MediaUnreachable      its media's host fails or is too slow; may go better later
    ├── TooLarge              over a limit of the pool
    ├── Incompatible          a modality or protocol that this encoder does not serve
    ├── Busy                  admission is full
    ├── Draining              this encoder is going away
    ├── Expired               its deadline passed
    ├── Cancelled             nobody waits for it
    ├── ReceiverUnreachable   where its embedding is wanted, nobody takes a connection
    └── Internal              a defect, a lost device

The text of an exception goes to whoever sent the item: it says what to do, and never holds media
content, the query of an URL or a key.
"""

from fleet_client.protocol import Status


class ItemError(Exception):
    """One item cannot be encoded. `str(error)` is what its sender reads."""

    status = Status.INTERNAL


class Invalid(ItemError):
    """The item cannot be encoded, here or elsewhere."""

    status = Status.INVALID


class AskedTwice(Invalid):
    """Its embedding is on its way, or was delivered: a language server that got it twice would fail the request."""


class MediaUnreachable(ItemError):
    """The host of its media fails or is too slow. Not this encoder's fault, and another one would ask the same host."""

    status = Status.MEDIA_UNREACHABLE


class TooLarge(ItemError):
    """The item is over a limit of the pool; the message names the limit's field."""

    status = Status.TOO_LARGE


class Incompatible(ItemError):
    """This encoder does not serve that modality or protocol."""

    status = Status.INCOMPATIBLE


class Busy(ItemError):
    """Admission is full.

    Attributes:
        retry_after: Seconds until there may be room.
    """

    status = Status.BUSY

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Draining(ItemError):
    """This encoder finishes what it has and takes nothing new."""

    status = Status.DRAINING


class Expired(ItemError):
    """The deadline passed before the forward pass."""

    status = Status.EXPIRED


class Cancelled(ItemError):
    """Its caller cancelled it, or is gone."""

    status = Status.CANCELLED


class ReceiverUnreachable(ItemError):
    """The socket that a language server named for its embeddings takes no connection."""

    status = Status.INTERNAL


class Internal(ItemError):
    """A defect of the encoder or a lost device; the log has the traceback."""

    status = Status.INTERNAL
