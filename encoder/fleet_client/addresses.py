"""Endpoints as callers write them, and their hosts and ports. Pure."""

import ipaddress
import re

_IN_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f-\x9f@/:\[\]]")
"""Spaces, control characters, and what stands around a host."""
_PORT = re.compile("[0-9]{1,5}")


def normalise(address: str) -> str:
    """`host:port` as `tcp://host:port`; `tcp://` and `ipc://` addresses as they are.

    Raises:
        ValueError: It is none of these; says what an address looks like.
        TypeError: It is no string.
    """
    if not isinstance(address, str):
        raise TypeError(f"an endpoint is a string, such as 'tcp://127.0.0.1:5570', not {type(address).__name__}")
    text = address.strip()
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme == "ipc" and rest and "\0" not in rest:
        return text
    host, _, port = rest.rpartition(":")
    if scheme in ("", "tcp") and _is_host(host) and _PORT.fullmatch(port) and 0 < int(port) < 65536:
        return f"tcp://{host}:{port}"
    raise ValueError(f"{address!r} is not an endpoint: write tcp://HOST:5570, HOST:5570 or ipc:///path")


def _is_host(text: str) -> bool:
    """A name, an IPv4 address, or an IPv6 address in brackets."""
    if not (text.startswith("[") and text.endswith("]")):
        return bool(text) and not _IN_NO_HOST.search(text)
    try:
        address = ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        return False
    return not _IN_NO_HOST.search(address.scope_id or "")


def split(endpoint: str) -> tuple[str, str] | None:
    """Host and port of an endpoint that has a name to look up; None for `ipc://` and for numeric addresses."""
    if not endpoint.startswith("tcp://"):
        return None
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host, port
    return None


def join(host: str, port: str) -> str:
    """The endpoint at a numeric host."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
