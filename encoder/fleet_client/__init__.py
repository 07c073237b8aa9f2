"""The client of the encoders: images, video and audio in, embeddings out. Needs pyzmq, msgspec and numpy.

Blocking (`Client`) or for asyncio (`AsyncClient`); `docs/client.md` has ten-line scripts.
"""

from fleet_client.aio import AsyncClient
from fleet_client.encoding import Encoding
from fleet_client.errors import (
    Busy,
    Cancelled,
    ClientClosed,
    Draining,
    EncodeError,
    Expired,
    Incompatible,
    Internal,
    Invalid,
    Lost,
    MediaUnreachable,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from fleet_client.media import Media, audio, image, video
from fleet_client.protocol import Meta, Sampling, Welcome
from fleet_client.sync import Client

__all__ = [
    "AsyncClient",
    "Busy",
    "Cancelled",
    "Client",
    "ClientClosed",
    "Draining",
    "EncodeError",
    "Encoding",
    "Expired",
    "Incompatible",
    "Internal",
    "Invalid",
    "Lost",
    "Media",
    "MediaUnreachable",
    "Meta",
    "Refused",
    "Sampling",
    "TooLarge",
    "Unavailable",
    "Unreachable",
    "Welcome",
    "audio",
    "image",
    "video",
]
