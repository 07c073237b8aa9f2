"""Media hosts on loopback, names that lead to them, and a judge for a machine without a public address."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from fleet_encoder.sources import addresses
from fleet_encoder.sources.addresses import Reach
from fleet_encoder.sources.fetch import Fetcher, SourcePolicy

PUBLIC = "127.0.0.1"
"""Stands for a public address; 127.0.0.2 and all others keep their true meaning."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def judge(address: str) -> Reach:
    return Reach.PUBLIC if address == PUBLIC else addresses.reach(address)


class Names(AbstractResolver):
    """A name server: each look-up of a name gets its next answer, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class Host:
    """A web server; remembers who connected and what was asked for."""

    def __init__(self, address: str, port: int) -> None:
        self.port = port
        self.address = f"[{address}]" if ":" in address else address
        self.url = f"http://{self.address}:{port}"
        self.requests: list[web.Request] = []

    @property
    def paths(self) -> list[str]:
        return [request.raw_path for request in self.requests]


@asynccontextmanager
async def web_host(handler: Handler, address: str = PUBLIC, port: int = 0) -> AsyncIterator[Host]:
    """Serve every path by `handler`."""
    listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    host = Host(address, listener.getsockname()[1])

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        host.requests.append(request)  # type: ignore[arg-type]
        return await handler(request)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield host
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_host(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], address: str = PUBLIC
) -> AsyncIterator[Host]:
    """Serve bytes that a well-behaved web server would never send. The handler starts after the request's head."""
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has heard enough
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, address, 0)
    try:
        yield Host(address, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def connection_counter(address: str, port: int = 0) -> AsyncIterator[tuple[int, list[object]]]:
    """A port that must not be connected to: yields it, and the list of connections that came."""
    came: list[object] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(handle, address, port)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()
        await server.wait_closed()


def fetcher(
    *,
    allowed_domains: tuple[str, ...] = (),
    allow_private: bool = False,
    local_root: object = None,
    max_bytes: int = 1 << 20,
    max_pending_bytes: int = 1 << 30,
    admitted_bytes: Callable[[], int] = lambda: 0,
    resolver: AbstractResolver | None = None,
) -> Fetcher:
    """A fetcher to whom 127.0.0.1 is public."""
    policy = SourcePolicy(allowed_domains, allow_private, local_root, max_bytes)  # type: ignore[arg-type]
    return Fetcher(
        policy, max_pending_bytes=max_pending_bytes, admitted_bytes=admitted_bytes, resolver=resolver, judge=judge
    )
