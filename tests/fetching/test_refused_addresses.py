"""What is connected to is judged, whatever the URL or a name server says."""

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from fetching.hosts import PUBLIC, Names, connection_counter, fetcher, web_host
from fleet_encoder.errors import Invalid, MediaUnreachable

PRIVATE = "127.0.0.2"


async def fine(request: web.Request) -> web.Response:
    return web.Response(body=b"fine", headers={"Connection": "close"})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "127.2",
        "127.0.2",
        "2130706434",
        "0x7f000002",
        "0x7f.0.0.2",
        "017700000002",
        "0177.0.0.2",
        "127.0.0.2.",
        "①②⑦.⓪.⓪.②",
        "127。0。0。2",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[0:0:0:0:0:ffff:127.0.0.2]",
        "[::127.0.0.2]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST.",
    ],
)
async def test_no_spelling_reaches_a_private_port(host: str) -> None:
    """Somebody listens there, on every address, and hears nothing."""
    async with connection_counter("::") as (port, v6), connection_counter("0.0.0.0", port) as (_, v4):
        async with fetcher() as fetch:
            # localhost is 127.0.0.1 in truth, which the judge of these tests calls public: so here by a name server.
            fetch_names = Names(localhost=[[PRIVATE, "::1"]])
            async with fetcher(resolver=fetch_names) as named:
                with pytest.raises((Invalid, MediaUnreachable)):
                    await (named if "ocal" in host.lower() else fetch).fetch(f"http://{host}:{port}/", None)
        assert v4 == v6 == []


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """DNS rebinding: public when it is looked at first, private when it is asked for again."""
    names = Names(rebinding_example=[[PUBLIC], [PRIVATE]])
    async with (
        web_host(fine) as host,
        connection_counter(PRIVATE) as (port, connections),
        fetcher(resolver=names) as fetch,
    ):
        assert await fetch.fetch(f"http://rebinding.example:{host.port}/", None) == b"fine"
        with pytest.raises(Invalid, match=r"spec\.media\.allowPrivateNetworks"):
            await fetch.fetch(f"http://rebinding.example:{port}/", None)
        assert names.asked == ["rebinding.example"] * 2  # so it was asked again, and did answer otherwise
        assert connections == []


async def test_of_several_addresses_only_the_public_one_is_used() -> None:
    names = Names(both_example=[[PRIVATE, "::1", "10.0.0.1", PUBLIC]])
    async with (
        web_host(fine) as host,
        connection_counter(PRIVATE, host.port) as (_, private),
        fetcher(resolver=names) as fetch,
    ):
        assert await fetch.fetch(f"http://both.example:{host.port}/", None) == b"fine"
        assert private == []


async def test_several_private_addresses_are_one_clear_reason() -> None:
    names = Names(inside_example=[["10.0.0.1", "fd00::1", "127.0.0.2", "192.168.0.1"]])
    async with fetcher(resolver=names) as fetch:
        with capture_logs() as logs, pytest.raises(Invalid, match=r"spec\.media\.allowPrivateNetworks") as caught:
            await fetch.fetch("http://inside.example/a?key=secret", None)
    assert not any(address in str(caught.value) for address in ("10.0.0.1", "fd00::1", "127.0.0.2", "192.168.0.1"))
    (line,) = logs
    assert line["url"] == "http://inside.example/a"
    assert line["address"] in names.answers["inside.example"][0]  # the operator may know


async def test_private_networks_may_be_allowed() -> None:
    async with web_host(fine, PRIVATE) as host, fetcher(allow_private=True) as fetch:
        assert await fetch.fetch(host.url, None) == b"fine"


async def test_allowed_domains_do_not_open_private_networks() -> None:
    names = Names(cdn_example=[[PRIVATE]])
    async with connection_counter(PRIVATE) as (port, connections):
        async with fetcher(resolver=names, allowed_domains=("cdn.example", PRIVATE)) as fetch:
            for host in ("cdn.example", PRIVATE):
                with pytest.raises(Invalid, match=r"spec\.media\.allowPrivateNetworks"):
                    await fetch.fetch(f"http://{host}:{port}/", None)
        assert connections == []


async def test_hosts_outside_of_the_allowed_domains_are_not_even_looked_up() -> None:
    names = Names(evil_example=[[PUBLIC]])
    async with fetcher(resolver=names, allowed_domains=("cdn.example",)) as fetch:
        with pytest.raises(Invalid, match=r"spec\.media\.allowedDomains"):
            await fetch.fetch("http://evil.example/", None)
    assert names.asked == []
