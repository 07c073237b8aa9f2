"""Which addresses count as public, private or forbidden."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_encoder.sources.addresses import Reach, reach

PUBLIC = """
    8.8.8.8 1.1.1.1 93.184.216.34 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 100.63.255.255 100.128.0.0
    11.0.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001:830::200e
    ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
"""

PRIVATE = """
    10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
    127.0.0.1 127.255.255.254 100.64.0.1 100.127.255.255 198.18.0.1 198.19.255.255
    ::1 fc00::1 fd12:3456::1 fec0::1
    ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:0:10.1.2.3 64:ff9b::10.0.0.1 64:ff9b:1::10.0.0.1 64:ff9b:1::8.8.8.8
    2002:7f00:1:: 2002:a00:1::1
"""

FORBIDDEN = """
    169.254.169.254 169.254.170.2 169.254.0.1 169.254.20.10 100.100.100.200 168.63.129.16 192.0.0.192
    0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    192.0.2.1 198.51.100.7 203.0.113.9 192.88.99.1
    :: fe80::1 fe80::a9fe:a9fe fe80::1%eth0 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42
    ff02::1 ff0e::1 2001:db8::1 3fff::1 100::1 100:0:0:1::1 5f00::1 4000::1 ::8.8.8.8 ::7f00:1
    ::ffff:169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::169.254.169.254 64:ff9b:1::169.254.169.254
    64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1
    2001:0:a9fe:a9fe:: 2001:0:808:808:0:0:5601:5601
    2130706433 0x7f000001 0177.0.0.1 127.1 127.0.0.1.nip.io localhost 256.1.1.1 1.2.3 [::1] 10.0.0.1/8
"""


@pytest.mark.parametrize(
    ("address", "expected"),
    [(address, Reach.PUBLIC) for address in PUBLIC.split()]
    + [(address, Reach.PRIVATE) for address in PRIVATE.split()]
    + [(address, Reach.FORBIDDEN) for address in [*FORBIDDEN.split(), "", " 8.8.8.8", "8.8.8.8\n"]],
)
def test_table(address: str, expected: Reach) -> None:
    assert reach(address) is expected


@given(st.ip_addresses(v=4))
def test_a_carried_ipv4_address_is_judged_as_itself(inside: ipaddress.IPv4Address) -> None:
    number = int(inside)
    carriers = [0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96]
    forms = [ipaddress.IPv6Address(carrier | number) for carrier in carriers]
    forms.append(ipaddress.IPv6Address(0x2002 << 112 | number << 80))
    assert {reach(str(form)) for form in forms} == {reach(str(inside))}


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_teredo_is_as_bad_as_the_worse_of_server_and_client(
    server: ipaddress.IPv4Address, client: ipaddress.IPv4Address
) -> None:
    tunnel = ipaddress.IPv6Address(0x20010000 << 96 | int(server) << 64 | (~int(client) & 0xFFFFFFFF))
    assert reach(str(tunnel)) == max(reach(str(server)), reach(str(client)))


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_never_public(address: ipaddress.IPv4Address) -> None:
    special = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    tunnel = address in ipaddress.ip_network("2001::/32") if address.version == 6 else False
    if special and not tunnel and getattr(address, "ipv4_mapped", None) is None:
        assert reach(str(address)) is not Reach.PUBLIC
