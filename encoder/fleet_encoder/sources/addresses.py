"""Which IP addresses an encoder may be talked into connecting to. Pure.

An address is public only where that is certain. IPv6 forms that carry an IPv4 address inside (mapped, translated,
6to4, NAT64, Teredo) are judged by what they carry, as that is where the packets end.
"""

import enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


class Reach(enum.IntEnum):
    """Who is behind an address, the less harmless the higher."""

    PUBLIC = 0
    PRIVATE = 1  # somebody's own network or this very host: only with spec.media.allowPrivateNetworks
    FORBIDDEN = 2  # cloud metadata, link-local, multicast, reserved: never a place of media


_V4_FORBIDDEN = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # Linux takes 0.0.0.0 for this host
            "100.100.100.200/32",  # metadata service of Alibaba Cloud
            "168.63.129.16/32",  # Azure's host agent
            "169.254.0.0/16",  # link-local; metadata service and container credentials of most clouds
            "192.0.0.0/24",  # protocol assignments; metadata service of Oracle Cloud (classic)
            "192.0.2.0/24",
            "192.88.99.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_V4_PRIVATE = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; pods and services of several managed clusters
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "198.18.0.0/15",
        ),
    )
)
_V6_FORBIDDEN = tuple(
    map(
        IPv6Network,
        (
            "2001:db8::/32",
            "3fff::/20",
            "fd00:42::42/128",  # metadata service of Scaleway
            "fd00:ec2::/64",  # metadata and credential services of AWS
            "fd20:ce::254/128",  # metadata service of Google Cloud
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
_V6_PRIVATE = tuple(map(IPv6Network, ("::1/128", "fc00::/7", "fec0::/10")))
_V6_GLOBAL_UNICAST = IPv6Network("2000::/3")

_LOW_32_BITS = tuple(map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""IPv4-mapped, IPv4-translated, NAT64: the IPv4 address is at the end."""

_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
"""Whose translator it is only its owner knows: private at best."""


def reach(address: str) -> Reach:
    """Judge a numeric address, as `socket.getaddrinfo` writes it.

    Shorthand, octal, hexadecimal and decimal forms of IPv4 are no numeric addresses here: FORBIDDEN.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return Reach.FORBIDDEN
    return _reach_v4(parsed) if isinstance(parsed, IPv4Address) else _reach_v6(parsed)


def _reach_v4(address: IPv4Address) -> Reach:
    if any(address in network for network in _V4_FORBIDDEN):
        return Reach.FORBIDDEN
    if any(address in network for network in _V4_PRIVATE):
        return Reach.PRIVATE
    return Reach.PUBLIC if address.is_global else Reach.FORBIDDEN


def _reach_v6(address: IPv6Address) -> Reach:
    carried = _carried(address)
    if carried:
        floor = Reach.PRIVATE if address in _LOCAL_NAT64 else Reach.PUBLIC
        return max(floor, *map(_reach_v4, carried))
    if any(address in network for network in _V6_FORBIDDEN):
        return Reach.FORBIDDEN
    if any(address in network for network in _V6_PRIVATE):
        return Reach.PRIVATE
    return Reach.PUBLIC if address in _V6_GLOBAL_UNICAST and address.is_global else Reach.FORBIDDEN


def _carried(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside `address`."""
    if address.teredo:
        return address.teredo  # the server's and the client's
    if address.sixtofour:
        return (address.sixtofour,)
    if address in _LOCAL_NAT64 or any(address in network for network in _LOW_32_BITS):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()
