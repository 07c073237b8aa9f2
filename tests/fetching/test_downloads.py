"""Downloads from real web servers on loopback: what comes back, and what is refused."""

import asyncio
import shlex
import ssl
import subprocess
import traceback
from pathlib import Path

import pytest
from aiohttp import web

from fetching.hosts import Names, fetcher, raw_host, web_host
from fleet_client.protocol import Status
from fleet_encoder.errors import Busy, Invalid, ItemError, MediaUnreachable, TooLarge

LIMIT = 1 << 20
QUERY = "key=secret"


async def test_a_photo_comes_back_byte_for_byte(photos: Path) -> None:
    photo = (photos / "rocket.jpg").read_bytes()

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=photo)

    async with web_host(serve) as host, fetcher() as fetch:
        assert await fetch.fetch(f"{host.url}/rocket.jpg", None) == photo
        assert fetch.held_bytes == 0


async def test_a_chunked_body_of_unknown_length() -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(100):
            await response.write(bytes([number]) * 1000)
        return response

    async with web_host(serve) as host, fetcher() as fetch:
        assert await fetch.fetch(host.url, 30) == b"".join(bytes([number]) * 1000 for number in range(100))


async def test_a_signed_query_arrives_as_it_was_signed() -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"x")

    async with web_host(serve) as host, fetcher() as fetch:
        await fetch.fetch(f"{host.url}/a%2Fb%7E?sig=a%2Bb%7E%2f&t=%41#part", None)
        assert host.paths == ["/a%2Fb%7E?sig=a%2Bb%7E%2f&t=%41"]


async def test_nothing_of_this_process_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cookie of an earlier answer, no proxy and no credentials from the environment."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody listens there

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Set-Cookie": "who=me"})

    async with web_host(serve) as host, fetcher() as fetch:
        await fetch.fetch(host.url, None)
        await fetch.fetch(host.url, None)
        for request in host.requests:
            assert request.headers["Accept-Encoding"] == "identity"
            assert not {"Cookie", "Authorization", "Referer"} & set(request.headers)


async def test_an_announced_size_over_the_limit_is_refused_before_the_body() -> None:
    """The host sends not one byte of the body, so the refusal cannot have waited for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode())
        await reader.read()  # until the other side hangs up

    async with raw_host(serve) as host, fetcher(max_bytes=LIMIT) as fetch:
        with pytest.raises(TooLarge, match=rf"{LIMIT + 1} bytes.*{LIMIT}.*spec\.media\.maxBytes"):
            await fetch.fetch(host.url, None)
        assert fetch.held_bytes == 0


async def test_an_endless_body_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()
            sent += 0x10000

    async with raw_host(serve) as host, fetcher(max_bytes=LIMIT) as fetch:
        with pytest.raises(TooLarge, match=r"spec\.media\.maxBytes"):
            await fetch.fetch(host.url, None)
    assert sent < LIMIT + (32 << 20)  # what socket buffers hold


@pytest.mark.parametrize("size", [0, LIMIT])
async def test_exactly_the_limit_is_fine(size: int) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=bytes(size))

    async with web_host(serve) as host, fetcher(max_bytes=LIMIT) as fetch:
        assert len(await fetch.fetch(host.url, None)) == size


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["short", "short chunk", "bad chunk", "negative length", "not http", "nothing"],
)
async def test_a_broken_answer_fails_the_item_alone(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async def healthy(request: web.Request) -> web.Response:
        return web.Response(body=b"fine")

    async with raw_host(serve) as host, web_host(healthy) as other, fetcher() as fetch:
        with pytest.raises(MediaUnreachable, match="retry later|web server") as caught:
            await fetch.fetch(host.url, None)
        assert caught.value.status is Status.MEDIA_UNREACHABLE
        assert await fetch.fetch(other.url, None) == b"fine"


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, Invalid, "leads to the file"),
        (401, Invalid, "signed URL"),
        (403, Invalid, "signed URL"),
        (404, Invalid, "leads to the file"),
        (410, Invalid, "leads to the file"),
        (204, Invalid, "leads to the file"),
        (206, Invalid, "leads to the file"),
        (300, Invalid, "leads to the file"),
        (304, Invalid, "leads to the file"),
        (408, MediaUnreachable, "retry later"),
        (429, MediaUnreachable, "retry later"),
        (500, MediaUnreachable, "retry later"),
        (503, MediaUnreachable, "retry later"),
    ],
)
async def test_statuses(status: int, kind: type[ItemError], advice: str) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with web_host(serve) as host, fetcher() as fetch:
        with pytest.raises(kind, match=f"answered {status}.*{advice}") as caught:
            await fetch.fetch(f"{host.url}/a.png?key=secret", None)
        assert type(caught.value) is kind


async def test_nobody_listens() -> None:
    async with raw_host(lambda reader, writer: asyncio.sleep(0)) as host:
        pass
    async with fetcher() as fetch:
        with pytest.raises(MediaUnreachable, match="Connection refused"):
            await fetch.fetch(host.url, None)


async def test_an_unknown_name() -> None:
    async with fetcher(resolver=Names()) as fetch:
        with pytest.raises(MediaUnreachable, match="could not be resolved"):
            await fetch.fetch("http://nowhere.example/", None)


async def test_the_systems_resolver_knows_localhost() -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"fine")

    async with web_host(serve) as host, fetcher(allow_private=True) as fetch:
        assert await fetch.fetch(f"http://localhost:{host.port}/", None) == b"fine"


async def test_ipv6() -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"fine")

    async with web_host(serve, "::1") as host, fetcher(allow_private=True) as fetch:
        assert await fetch.fetch(host.url, None) == b"fine"


def make_certificate(folder: Path) -> None:
    """key.pem and cert.pem, signed by nobody but itself."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=media.example"
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)


async def test_a_certificate_of_nobody_we_trust(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server, fetcher(resolver=Names(media_example=[["127.0.0.1"]])) as fetch:
        with pytest.raises(Invalid, match="certificate is not valid"):
            await fetch.fetch(f"https://media.example:{port}/?key=secret", None)
    assert not any(heard)


async def test_plain_http_where_https_was_asked_for() -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=b"x")

    async with web_host(serve) as host, fetcher() as fetch:
        with pytest.raises(MediaUnreachable, match="TLS"):
            await fetch.fetch(f"https://127.0.0.1:{host.port}/", None)


async def test_memory_of_downloads_is_bounded() -> None:
    """While one download holds nearly all of it, another one is BUSY; then it is served."""
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/small":
            return web.Response(body=bytes(200))
        response = web.StreamResponse(headers={"Content-Length": "900"})
        await response.prepare(request)
        await response.write(bytes(850))
        begun.set()
        await go_on.wait()
        await response.write(bytes(50))
        return response

    async with web_host(serve) as host, fetcher(max_pending_bytes=1000) as fetch:
        large = asyncio.create_task(fetch.fetch(f"{host.url}/large", None))
        await begun.wait()
        while fetch.held_bytes < 850:
            await asyncio.sleep(0)
        with pytest.raises(Busy, match=r"spec\.admission\.maxPendingBytes") as caught:
            await fetch.fetch(f"{host.url}/small", None)
        assert caught.value.retry_after > 0
        go_on.set()
        assert len(await large) == 900
        assert len(await fetch.fetch(f"{host.url}/small", None)) == 200
        assert fetch.held_bytes == 0


async def test_what_is_announced_and_not_sent_takes_nothing_from_others() -> None:
    silent = asyncio.Event()

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/small":
            return web.Response(body=bytes(200))
        response = web.StreamResponse(headers={"Content-Length": "900"})
        await response.prepare(request)
        await response.write(bytes(1))
        await silent.wait()
        return response

    async with web_host(serve) as host, fetcher(max_pending_bytes=1000) as fetch:
        large = [asyncio.create_task(fetch.fetch(f"{host.url}/large/{number}", None)) for number in range(20)]
        while fetch.held_bytes < 20:
            await asyncio.sleep(0)
        assert len(await fetch.fetch(f"{host.url}/small", None)) == 200
        silent.set()
        assert {type(each) for each in await asyncio.gather(*large, return_exceptions=True)} == {MediaUnreachable}


async def test_what_admission_counts_is_of_the_same_limit() -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=bytes(200))

    admitted = 900
    async with web_host(serve) as host, fetcher(max_pending_bytes=1000, admitted_bytes=lambda: admitted) as fetch:
        with pytest.raises(Busy, match=r"900 of 1000 bytes"):
            await fetch.fetch(host.url, None)
        admitted = 800
        assert len(await fetch.fetch(host.url, None)) == 200


@pytest.mark.parametrize(
    "path",
    ["/404", "/500", "/short", "/loop", "/away", "/large", "/br", "/slow"],
)
async def test_no_failure_shows_the_query(path: str) -> None:
    """Neither the message nor anything that a logged traceback would print."""

    async def serve(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/404" | "/500":
                return web.Response(status=int(request.path[1:]))
            case "/short":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "/loop":
                return web.Response(status=302, headers={"Location": "/loop?again=secret"})
            case "/away":
                return web.Response(status=302, headers={"Location": "http://10.0.0.1/?again=secret"})
            case "/large":
                return web.Response(body=bytes(LIMIT + 1))
            case "/br":
                return web.Response(body=b"x", headers={"Content-Encoding": "br"})
            case _:
                await asyncio.sleep(60)
                return web.Response()

    async with web_host(serve) as host, fetcher(max_bytes=LIMIT) as fetch:
        with pytest.raises(ItemError) as caught:
            await fetch.fetch(f"{host.url}{path}?{QUERY}", 0.5 if path == "/slow" else None)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
