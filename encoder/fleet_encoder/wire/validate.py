"""What a request may say. Pure; the whole request or one item is refused with what to do about it."""

import math

from fleet_client import protocol
from fleet_encoder.errors import Incompatible, Invalid

MAX_ID = 256
MAX_NAME = 64
MAX_TIMEOUT_MS = 24 * 3600 * 1000


def check_request(message: protocol.Encode) -> None:
    """Refuse a request as a whole.

    Raises:
        Incompatible: It is of another protocol version.
        Invalid: Its id, its item count or its timeout is out of bounds.
    """
    if message.version != protocol.VERSION:
        raise Incompatible(
            f"the client speaks protocol version {message.version}, this encoder {protocol.VERSION}: "
            "update the older of the two"
        )
    if not 0 < len(message.id) <= MAX_ID:
        raise Invalid(f"request id of {len(message.id)} characters: give 1 to {MAX_ID}")
    if not message.id.isprintable():
        raise Invalid("the request id has characters that cannot be printed: it is written to logs")
    if not 0 < len(message.items) <= protocol.MAX_ITEMS:
        raise Invalid(f"{len(message.items)} items: send 1 to {protocol.MAX_ITEMS} in one request")
    if message.timeout_ms is not None and not 0 < message.timeout_ms <= MAX_TIMEOUT_MS:
        raise Invalid(f"timeout_ms is {message.timeout_ms}: give 1 to {MAX_TIMEOUT_MS}, or leave it out")


def shown_name(name: str) -> str:
    """What a client calls itself, fit for a log line."""
    return "".join(character for character in name[:MAX_NAME] if character.isprintable())


def check_item(item: protocol.Item, frames: int) -> None:
    """Refuse one item.

    Args:
        item: As the client sent it.
        frames: Media frames in the message.

    Raises:
        Invalid: Says which field is wrong.
    """
    if (item.frame is None) == (item.url is None):
        raise Invalid("an item needs either `frame` or `url`, and not both")
    if item.frame is not None and not 0 <= item.frame < frames:
        raise Invalid(f"item refers to frame {item.frame}, the message has {frames} behind its header")
    sampling = item.sampling
    if sampling is None:
        return
    if item.modality != "video":
        raise Invalid(f"`sampling` is for video, this item is {item.modality}")
    if sampling.fps is not None and sampling.frames is not None:
        raise Invalid("give `sampling.fps` or `sampling.frames`, not both")
    if sampling.fps is not None and not (math.isfinite(sampling.fps) and sampling.fps > 0):
        raise Invalid(f"sampling.fps is {sampling.fps}: give a number over 0")
    if sampling.frames is not None and sampling.frames < 1:
        raise Invalid(f"sampling.frames is {sampling.frames}: give 1 or more")
