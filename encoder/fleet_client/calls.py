"""One item that somebody waits for, and the message that asks an encoder for it. Nothing here touches the world."""

import asyncio
import math
from dataclasses import dataclass

from fleet_client import errors, inbox, media
from fleet_client.protocol import Encode, Item, pack

MAX_TIMEOUT_SECONDS = 24 * 3600
"""Encoders refuse longer ones; the client keeps its deadline itself, however long."""


@dataclass(slots=True, eq=False)
class Call:
    """One item that somebody waits for.

    Attributes:
        done: Resolves to the answer, or to the exception as a value.
        ended: When it did.
        endpoint: The encoder that answered.
        attempts: How often the item was sent.
    """

    id: str
    item: media.Media
    deadline: float
    started: float
    done: asyncio.Future[inbox.Answer | errors.EncodeError]
    ended: float = 0.0
    endpoint: str = ""
    attempts: int = 0


def message(call: Call, source: media.Buffer | str, now: float) -> list[bytes | memoryview]:
    """The frames that ask for `call`; `source` is its URL, or the content of its file.

    Raises:
        Exception: What the caller gave cannot be packed.
    """
    by_url = isinstance(source, str)
    left = call.deadline - now
    item = Item(
        modality=call.item.modality,
        url=source if isinstance(source, str) else None,
        frame=None if by_url else 0,
        sampling=call.item.sampling,
    )
    timeout_ms = None if left > MAX_TIMEOUT_SECONDS else max(1, math.ceil(left * 1000))
    header = pack(Encode(id=call.id, items=[item], timeout_ms=timeout_ms))
    return [header] if isinstance(source, str) else [header, memoryview(source).cast("B")]
