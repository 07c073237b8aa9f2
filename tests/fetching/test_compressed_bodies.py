"""Hosts that compress although they were asked not to."""

import gzip
import zlib

import pytest
from aiohttp import web

from fetching.hosts import fetcher, web_host
from fleet_encoder.errors import Busy, Invalid, TooLarge
from fleet_encoder.sources.inflate import inflate

LIMIT = 1 << 20
CONTENT = bytes(range(256)) * 1000


async def fetched(body: bytes, coding: str) -> bytes:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": coding})

    async with web_host(serve) as host, fetcher(max_bytes=LIMIT) as fetch:
        data = await fetch.fetch(f"{host.url}/a?key=secret", None)
        assert fetch.held_bytes == 0
        return bytes(data)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(CONTENT)),
        ("x-gzip", gzip.compress(CONTENT)),
        ("GZIP", gzip.compress(CONTENT)),
        ("deflate", zlib.compress(CONTENT)),
        ("identity", CONTENT),
    ],
)
async def test_it_is_undone(coding: str, body: bytes) -> None:
    assert await fetched(body, coding) == CONTENT


async def test_a_bomb_is_noticed_before_it_is_unpacked() -> None:
    """1 GB of zeros in 1 MB; what is decoded is counted, and decoding ends with the limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(1000)) + packer.flush()
    assert len(bomb) < LIMIT
    with pytest.raises(TooLarge, match=r"spec\.media\.maxBytes"):
        await fetched(bomb, "gzip")

    counted: list[int] = []
    with pytest.raises(TooLarge):
        inflate(bytearray(bomb), LIMIT, counted.append, "http://a/")
    assert max(counted) <= len(bomb) + LIMIT


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress"])
async def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(Invalid, match="without Content-Encoding"):
        await fetched(b"whatever", coding)


@pytest.mark.parametrize("body", [gzip.compress(CONTENT)[:-10], b"", gzip.compress(CONTENT)[:5]])
async def test_a_cut_off_body(body: bytes) -> None:
    with pytest.raises(Invalid, match="cut off"):
        await fetched(body, "gzip")


async def test_a_body_that_is_not_compressed_at_all() -> None:
    with pytest.raises(Invalid, match="not what its Content-Encoding says"):
        await fetched(CONTENT, "gzip")


def test_memory_may_be_refused_on_the_way() -> None:
    def refuse(size: int) -> None:
        raise Busy("full", 1.0)

    with pytest.raises(Busy):
        inflate(bytearray(gzip.compress(CONTENT)), LIMIT, refuse, "http://a/")
