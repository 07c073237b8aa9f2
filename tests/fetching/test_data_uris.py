"""`data:` URIs: strict, judged before they are decoded, and never in the event loop's way."""

import asyncio
import base64
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetching.hosts import fetcher
from fleet_encoder.errors import Busy, Invalid, TooLarge
from fleet_encoder.sources import data_uri
from fleet_encoder.sources.fetch import INLINE_CHARACTERS

LIMIT = 10 << 20


def decode(text: str, limit: int = LIMIT) -> bytes:
    return bytes(data_uri.decode(text, limit, lambda size: None))


def escape(text: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in text)


async def test_a_photo(photos: Path) -> None:
    photo = (photos / "rocket.jpg").read_bytes()
    async with fetcher() as fetch:
        uri = "data:image/jpeg;base64," + base64.b64encode(photo).decode()
        assert len(uri) > INLINE_CHARACTERS
        assert await fetch.fetch(uri, None) == photo
        assert await fetch.fetch("data:text/plain,hello%20there", None) == b"hello there"
        assert fetch.held_bytes == 0


@given(st.binary(max_size=600), st.sampled_from([1, 4, 7, 64]))
def test_any_bytes_in_every_form(content: bytes, piece: int) -> None:
    encoded = base64.b64encode(content)
    with pytest.MonkeyPatch.context() as patch:  # pieces small enough to have many of them
        patch.setattr(data_uri, "PIECE", piece)
        patch.setattr(data_uri, "PERCENT_PIECE", max(3, piece))
        assert decode("data:;base64," + encoded.decode()) == content
        assert decode("data:image/png;charset=x;BASE64," + encoded.decode().replace("=", "%3D")) == content
        assert decode("data:;base64," + escape(encoded)) == content
        assert decode("data:," + escape(content)) == content
        assert decode("data:image/png," + escape(content).upper()) == content


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64,AAAA\n",
        "data:image/png;base64,AA AA",
        "data:image/png;base64,AAA",
        "data:image/png;base64,A",
        "data:image/png;base64,AA=",
        "data:image/png;base64,AA==AAAA",
        "data:image/png;base64,=AAA",
        "data:image/png;base64,AAAA=",
        "data:image/png;base64,AAAA====",
        "data:image/png;base64,-_-_",
        "data:image/png;base64,%",
        "data:image/png;base64,AAA%3",
        "data:image/png;base64,AAA%zz",
        "data:image/png;base64,AAA%0AA",
        "data:,50%",
        "data:,%4",
        "data:,%g0",
        "data:,ü",
        "data:image/png;base64,\uff21\uff21\uff21\uff21",
        "data:image/png;base64",
        "data:",
        "data:" + "x" * data_uri.MAX_HEADER + ",",
    ],
)
@pytest.mark.parametrize("piece", [4, 1 << 17])
def test_what_is_not_quite_one(text: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_uri, "PIECE", piece)
    monkeypatch.setattr(data_uri, "PERCENT_PIECE", piece)
    with pytest.raises(Invalid, match="data: URI") as caught:
        decode(text)
    assert "AAA" not in str(caught.value)


def test_padding_may_stand_only_at_the_very_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a piece ends just behind it."""
    monkeypatch.setattr(data_uri, "PIECE", 8)
    assert decode("data:;base64,AAAAAAA=") == bytes(5)
    with pytest.raises(Invalid):
        decode("data:;base64,AAAAAAA=AAAA")


@pytest.mark.parametrize(
    ("form", "size"),
    [("base64", LIMIT + 3), ("percent", LIMIT + 1), ("plain", LIMIT + 1), ("base64", 3 * LIMIT)],
)
def test_the_size_is_judged_before_decoding(form: str, size: int) -> None:
    """The content is not even valid, which decoding would have noticed first; no memory was asked for."""
    content = {"base64": "!" * (size // 3 * 4 + 4), "percent": "%FF" * (size - 1) + "\0", "plain": "\0" * size}[form]
    asked: list[int] = []
    with pytest.raises(TooLarge, match=r"data:image/png: .*spec\.media\.maxBytes"):
        data_uri.decode(f"data:image/png{';base64' * (form == 'base64')},{content}", LIMIT, asked.append)
    assert asked == []


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_the_limit_is_exact_with_padding(extra: int) -> None:
    content = bytes(100)
    uri = "data:;base64," + base64.b64encode(content).decode()
    if extra:
        with pytest.raises(TooLarge):
            decode(uri, 100 - extra)
    else:
        assert decode(uri, 100) == content


async def test_memory_may_be_refused() -> None:
    async with fetcher(max_pending_bytes=1000, max_bytes=LIMIT) as fetch:
        uri = "data:;base64," + "A" * (4 << 20)
        results = await asyncio.gather(*(fetch.fetch(uri, None) for _ in range(8)), return_exceptions=True)
        assert {type(each) for each in results} <= {memoryview, Busy}
        assert memoryview in map(type, results)  # one alone always fits
        assert fetch.held_bytes == 0


async def test_the_event_loop_goes_on_while_100_megabytes_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding runs in another thread, in pieces; messages go to and fro over a socket before it is done."""
    threads: set[int] = set()
    longest = 0
    real = data_uri._base64

    def watched(pieces):  # type: ignore[no-untyped-def]
        def look(each: bytes) -> bytes:
            nonlocal longest
            threads.add(threading.get_ident())
            longest = max(longest, len(each))
            return each

        return real(map(look, pieces))

    monkeypatch.setattr(data_uri, "_base64", watched)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while message := await reader.read(1):
            writer.write(message)
        writer.close()

    size = 75 << 20
    uri = "data:video/mp4;base64," + "A" * (100 << 20)
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    events: list[str] = []
    async with server, fetcher(max_bytes=size) as fetch:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        task = asyncio.create_task(fetch.fetch(uri, None))
        task.add_done_callback(lambda _: events.append("decoded"))
        for _ in range(3):
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            events.append("echo")
        data = await task
        writer.close()
        await writer.wait_closed()
    assert events == ["echo", "echo", "echo", "decoded"]
    assert len(data) == size
    assert threading.get_ident() not in threads
    assert len(threads) == 1
    assert longest == data_uri.PIECE
