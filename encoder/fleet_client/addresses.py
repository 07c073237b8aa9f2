"""Endpoints as callers write them, and their hosts and ports. Pure."""

import ipaddress


def normalise(address: str) -> str:
    """`host:port` as `tcp://host:port`; `tcp://` and `ipc://` addresses as they are.

    Raises:
        ValueError: It is none of these; says what an address looks like.
    """
    text = address.strip()
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme == "ipc" and rest:
        return text
    host, colon, port = rest.rpartition(":")
    bare_ipv6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    valid_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if scheme in ("", "tcp") and colon and host and not bare_ipv6 and valid_port and "/" not in host:
        return f"tcp://{host}:{port}"
    raise ValueError(f"{address!r} is not an endpoint: write tcp://HOST:5570, HOST:5570 or ipc:///path")


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
