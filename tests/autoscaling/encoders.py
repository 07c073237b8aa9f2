"""Encoders that are nothing but an HTTP server with their metrics, on loopback."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from autoscaling.encoder_text import Encoder
from fleet_operator.specs.names import HTTP_PORT

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def tell(writer: asyncio.StreamWriter) -> None:
    """As an encoder that is ready does."""
    body = Encoder().text().encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    await writer.drain()


async def dribble(writer: asyncio.StreamWriter) -> None:
    """A byte, again and again."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"#")
        await writer.drain()
        await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def serving(answer: Answer = tell, *, pod: bool = False) -> AsyncIterator[str]:
    """A server; yields its `host:port`.

    Args:
        answer: Writes the answer to each request.
        pod: Whether it is where the operator looks for a pod's: at an address of its own, and the port of encoders.
    """

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)

    host = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))]) if pod else "127.0.0.1"
    server = await asyncio.start_server(serve, host, HTTP_PORT if pod else 0)
    try:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
