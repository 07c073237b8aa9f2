"""Addresses as they stand in a URL. Pure."""


def at(host: str, port: int) -> str:
    """`host:port` of an IP address, of IPv4 or IPv6, or of a name."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
