"""Every hop is judged as if it had been asked for, by the address that is really connected to."""

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from fetching.hosts import PUBLIC, Handler, Names, connection_counter, fetcher, web_host
from fleet_encoder.errors import Invalid
from fleet_encoder.sources.http import MAX_REDIRECTS

PRIVATE = "127.0.0.2"


def to(location: str, status: int = 302) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": location})

    return serve


def countdown(end: bytes) -> Handler:
    """/3 leads to /2, and so on; /0 is the file. The redirects' own bodies are not it."""

    async def serve(request: web.Request) -> web.Response:
        left = int(request.path.rsplit("/", 1)[-1])
        if not left:
            return web.Response(body=end)
        return web.Response(status=302, headers={"Location": f"{left - 1}?key=secret"}, body=b"not this" * 10000)

    return serve


async def test_up_to_the_limit() -> None:
    async with web_host(countdown(b"fine")) as host, fetcher() as fetch:
        assert await fetch.fetch(f"{host.url}/{MAX_REDIRECTS}", None) == b"fine"
        assert len(host.requests) == MAX_REDIRECTS + 1
        with pytest.raises(Invalid, match="redirects"):
            await fetch.fetch(f"{host.url}/{MAX_REDIRECTS + 1}", None)


async def test_a_loop_ends() -> None:
    async with web_host(to("/again")) as host, fetcher() as fetch:
        with pytest.raises(Invalid, match=f"over {MAX_REDIRECTS} redirects"):
            await fetch.fetch(host.url, None)
        assert len(host.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_all_statuses_to_another_host(status: int) -> None:
    async with (
        web_host(countdown(b"fine")) as end,
        web_host(to(f"{end.url}/0", status)) as host,
        fetcher() as fetch,
    ):
        assert await fetch.fetch(host.url, None) == b"fine"


@pytest.mark.parametrize("status", [301, 307])
async def test_to_a_private_address(status: int) -> None:
    async with (
        connection_counter(PRIVATE) as (port, connections),
        web_host(to(f"http://{PRIVATE}:{port}/latest/meta-data/?key=secret", status)) as host,
        fetcher() as fetch,
    ):
        with pytest.raises(Invalid, match=r"spec\.media\.allowPrivateNetworks") as caught:
            await fetch.fetch(host.url, None)
        assert connections == []
    assert "secret" not in str(caught.value)


async def test_to_a_private_address_by_name_at_the_last_hop() -> None:
    names = Names(good_example=[[PUBLIC]], inside_example=[[PRIVATE]])
    async with connection_counter(PRIVATE) as (port, connections):

        async def serve(request: web.Request) -> web.Response:
            left = int(request.path[1:])
            location = f"/{left - 1}" if left else f"http://inside.example:{port}/"
            return web.Response(status=302, headers={"Location": location})

        async with web_host(serve) as host, fetcher(resolver=names) as fetch:
            with pytest.raises(Invalid, match=r"http://inside\.example.*spec\.media\.allowPrivateNetworks"):
                await fetch.fetch(f"http://good.example:{host.port}/{MAX_REDIRECTS - 1}", None)
        assert names.asked == ["good.example", "inside.example"]
        assert connections == []


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "http://100.100.100.200/",
    ],
)
async def test_cloud_metadata_is_refused_even_where_private_networks_are_allowed(target: str) -> None:
    async with web_host(to(target)) as host, fetcher(allow_private=True) as fetch:
        with capture_logs() as logs, pytest.raises(Invalid, match="never fetched"):
            await fetch.fetch(host.url, None)
        assert [line["reach"] for line in logs] == ["FORBIDDEN"]


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "data:image/png;base64,AAAA", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://127.1/"],
)
async def test_to_what_could_not_have_been_asked_for(location: str) -> None:
    async with web_host(to(location)) as host, fetcher(allow_private=True) as fetch:
        with pytest.raises(Invalid):
            await fetch.fetch(host.url, None)


async def test_out_of_the_allowed_domains() -> None:
    names = Names(cdn_example=[[PUBLIC]], evil_org=[[PUBLIC]])
    async with connection_counter(PUBLIC) as (port, connections):
        async with (
            web_host(to(f"http://evil.org:{port}/")) as host,
            fetcher(allowed_domains=("*.example",), resolver=names) as fetch,
        ):
            with pytest.raises(Invalid, match=r"evil\.org is not in spec\.media\.allowedDomains"):
                await fetch.fetch(f"http://cdn.example:{host.port}/", None)
        assert connections == []
        assert names.asked == ["cdn.example"]
