"""How an item's error is said in HTTP. Pure."""

from fleet_client.protocol import Status
from fleet_encoder.errors import AskedTwice, Busy, Draining, ItemError, ReceiverUnreachable

_HTTP: dict[Status, int] = {
    Status.INVALID: 400,
    Status.INCOMPATIBLE: 400,
    Status.MEDIA_UNREACHABLE: 400,  # what it named cannot be read: as SGLang's encoder says it
    Status.TOO_LARGE: 413,
    Status.CANCELLED: 499,
    Status.BUSY: 503,
    Status.DRAINING: 503,
    Status.EXPIRED: 504,
    Status.INTERNAL: 500,
}

DRAINING_SECONDS = 1.0


def http_status(error: ItemError) -> int:
    """The status code."""
    match error:
        case AskedTwice():
            return 409
        case ReceiverUnreachable():
            return 502
    return _HTTP[error.status]


def retry_after(error: ItemError) -> str | None:
    """Whole seconds for `Retry-After`, where another try may go better."""
    if isinstance(error, Busy):
        return str(max(1, round(error.retry_after)))
    return str(round(DRAINING_SECONDS)) if isinstance(error, Draining) else None
