"""Writes what SGLang's receiver reads with an unpickler: objects, tensors and enums by name, and plain values.

A writer only, without Python's pickle: nothing in this program ever loads one. It emits protocol 2 with the few opcodes
that it needs, which Python's standard library documents in `pickletools`. What the receiver lets in is a list of exact
names (SGLang 0.5.23, `SafeUnpickler`); those used here are on it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PROTO, _STOP = b"\x80\x02", b"."
_MAX_INT32 = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Global:
    """Something that the reader imports by name, such as `torch.bfloat16`."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """What the reader gets by calling `function` with `arguments`."""

    function: Global
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of `kind`, made without calling its constructor, with these attributes."""

    kind: Global
    attributes: Mapping[str, Any]


def dumps(value: Any) -> bytes:
    """`value` as a pickle.

    Args:
        value: None, bool, int, float, str, list, tuple of at most three, dict, or one of the above.

    Raises:
        TypeError: Anything else.
    """
    out = bytearray(_PROTO)
    _put(value, out)
    return bytes(out + _STOP)


def _put(value: Any, out: bytearray) -> None:
    match value:
        case None:
            out += b"N"
        case bool():
            out += b"\x88" if value else b"\x89"
        case int():
            _put_int(value, out)
        case float():
            out += b"G" + struct.pack(">d", value)
        case str():
            encoded = value.encode("utf-8", "surrogatepass")
            out += b"X" + struct.pack("<I", len(encoded)) + encoded
        case list():
            _put_all(b"](", value, out)
            out += b"e"
        case dict():
            _put_all(b"}(", [each for pair in value.items() for each in pair], out)
            out += b"u"
        case tuple() if len(value) <= 3:
            _put_all(b"", value, out)
            out += (b")", b"\x85", b"\x86", b"\x87")[len(value)]
        case Global():
            out += f"c{value.module}\n{value.name}\n".encode("ascii")
        case Call():
            _put(value.function, out)
            _put(value.arguments, out)
            out += b"R"
        case Instance():
            _put(value.kind, out)
            out += b")\x81"
            _put(dict(value.attributes), out)
            out += b"b"
        case _:
            raise TypeError(f"cannot write a {type(value).__name__}")


def _put_int(value: int, out: bytearray) -> None:
    if -_MAX_INT32 <= value <= _MAX_INT32:
        out += b"J" + struct.pack("<i", value)
    else:
        size = value.bit_length() // 8 + 1
        out += b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def _put_all(opening: bytes, values: "list[Any] | tuple[Any, ...]", out: bytearray) -> None:
    out += opening
    for each in values:
        _put(each, out)
