"""A message from an encoder, read. Pure: frames in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fleet_client import tensors
from fleet_client.protocol import VERSION, Load, Result, Status, Welcome, unpack_from_server


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an item, and where it is OK the frame with its tensor."""

    result: Result
    frame: Any = None


@dataclass(frozen=True, slots=True)
class OtherVersion:
    """A Welcome of a protocol version that this client does not read."""

    version: int
    server: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that is not the protocol; `problem` says so to a person."""

    problem: str


class _AnyWelcome(msgspec.Struct, tag_field="type", tag="welcome"):
    """What every version's Welcome has."""

    version: int
    server: str = ""


_any_welcome = msgspec.msgpack.Decoder(_AnyWelcome)


def read(frames: Sequence[Any]) -> Answer | Load | Welcome | OtherVersion | Garbage:
    """Read a message: `frames` are buffers, the header first.

    An OK without a sound tensor becomes an INTERNAL: another encoder may do better.
    """
    if not frames:
        return Garbage("it sent an empty message")
    header = memoryview(frames[0])
    try:
        message = unpack_from_server(header)
    except ValueError:
        return _of_other_version(header)
    if not isinstance(message, Result):
        return message
    if message.status is not Status.OK:
        return Answer(message)
    try:
        return Answer(message, _tensor_frame(message, frames))
    except ValueError as error:
        return Answer(
            Result(id=message.id, index=message.index, status=Status.INTERNAL, message=f"damaged answer: {error}")
        )


def _tensor_frame(result: Result, frames: Sequence[Any]) -> Any:
    if result.tensor is None or result.meta is None:
        raise ValueError("OK without an embedding and its metadata")
    if not 0 <= result.tensor.frame < len(frames) - 1:
        raise ValueError(f"tensor in frame {result.tensor.frame} of {len(frames) - 1}")
    frame = memoryview(frames[1 + result.tensor.frame])
    tensors.check(result.tensor, frame.nbytes)
    return frame


def _of_other_version(header: memoryview) -> OtherVersion | Garbage:
    try:
        welcome = _any_welcome.decode(header)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        welcome = None
    if welcome is not None and welcome.version != VERSION:
        return OtherVersion(welcome.version, welcome.server)
    return Garbage(f"what it sends is not protocol version {VERSION}")
