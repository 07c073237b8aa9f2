"""Names that stand for several encoders: how they are read, looked up, and followed."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from conftest import EncoderProcess
from fleet_client import AsyncClient, Unreachable, names
from fleet_client.names import Names, look_up, split


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("tcp://first.fleet.svc:5570", ("first.fleet.svc", "5570")),
        ("tcp://localhost:1", ("localhost", "1")),
        ("tcp://10.0.0.1:5570", None),
        ("tcp://[fd00::1]:5570", None),
        ("tcp://10.0.0.1.example:5570", ("10.0.0.1.example", "5570")),
        ("ipc:///run/encoder.sock", None),
    ],
)
def test_what_has_a_name(endpoint: str, name: tuple[str, str] | None) -> None:
    assert split(endpoint) == name


def test_this_machine_has_one_address_by_its_name() -> None:
    assert look_up("localhost") == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
def test_an_unknown_name_is_an_error(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        look_up(host)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once."""
    monkeypatch.setattr(names, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(names, "MISSING_SECONDS", 0.01)


async def told(answers: list[list[str] | OSError], *endpoints: str) -> tuple[list[list[str]], list[str]]:
    """What is told of endpoints, whose names have these addresses one after the other."""
    every: Iterator[list[str] | OSError] = iter(answers)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host: str) -> list[str]:
        answer = next(every, None)
        if answer is None:
            loop.call_soon_threadsafe(ended.set)
            raise OSError("no more")
        if isinstance(answer, OSError):
            raise answer
        return answer

    met: list[list[str]] = []
    unknown: list[str] = []
    followed = Names(endpoints, met.append, unknown.append, lookup)
    await asyncio.wait_for(ended.wait(), 30)
    await asyncio.gather(*followed.close(), return_exceptions=True)
    return met, unknown


async def test_each_address_is_an_encoder(soon: None) -> None:
    met, unknown = await told([["10.0.0.1", "10.0.0.2"]], "tcp://name:5570", "tcp://10.9.9.9:1")
    assert met == [["tcp://10.0.0.1:5570", "tcp://10.0.0.2:5570", "tcp://10.9.9.9:1"]]
    assert unknown == []


async def test_an_address_of_version_6_has_brackets(soon: None) -> None:
    met, _ = await told([["fd00::1"]], "tcp://name:5570")
    assert met == [["tcp://[fd00::1]:5570"]]


async def test_who_comes_and_goes_is_told_and_a_failed_look_changes_nothing(soon: None) -> None:
    met, unknown = await told([["10.0.0.1"], OSError(), ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]], "tcp://name:1")
    assert met == [["tcp://10.0.0.1:1"], ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"], ["tcp://10.0.0.2:1"]]
    assert unknown == []


async def test_a_name_without_an_address_stands_for_itself(soon: None) -> None:
    met, unknown = await told([OSError(), OSError(), ["10.0.0.1"]], "tcp://name:1")
    assert unknown == ["tcp://name:1"] * 2
    assert met == [["tcp://10.0.0.1:1"]]


async def test_a_resolver_that_hangs_holds_up_nobody() -> None:
    may_end = threading.Event()

    def lookup(host: str) -> list[str]:
        may_end.wait(30)
        return ["10.0.0.1"]

    met: list[list[str]] = []
    followed = Names(["tcp://name:1"], met.append, lambda _: None, lookup)
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*followed.close(), return_exceptions=True), 10)
    may_end.set()
    assert met == []


async def test_a_real_encoder_is_found_by_name(vision_encoder: EncoderProcess) -> None:
    port = vision_encoder.endpoint.rpartition(":")[2]
    async with AsyncClient(f"localhost:{port}") as client:
        (address,) = await client.hello(20)
    assert address == f"tcp://127.0.0.1:{port}"


async def test_an_unknown_name_is_named() -> None:
    async with AsyncClient("no-such-host.invalid:5570") as client:
        with pytest.raises(Unreachable, match=r"no-such-host\.invalid:5570.*the host is unknown"):
            await client.hello(3)
