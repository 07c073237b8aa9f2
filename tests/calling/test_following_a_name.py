"""Encoders behind a name come and go: real sockets at addresses of loopback, and a resolver of the tests."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fleet_client import Unreachable, connection, connections, image, names
from fleet_client.engine import Engine
from fleet_client.protocol import Cancel, Encode
from scripted import Message, ScriptedEncoder, echo, nothing, welcome

ONE, TWO = "127.0.0.1", "127.0.0.2"


class Resolver:
    """Answers with what it is told."""

    def __init__(self, *hosts: str) -> None:
        self.answer: Sequence[str] | OSError = hosts
        self.asked = 0

    def __call__(self, host: str) -> Sequence[str]:
        self.asked += 1
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once."""
    monkeypatch.setattr(names, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(names, "MISSING_SECONDS", 0.01)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def answered_by(engine: Engine, content: bytes = b"item") -> str:
    """Where an item is encoded."""
    (call,) = engine.submit([image(content)], 30)
    outcome = await call.done
    assert not isinstance(outcome, Exception), outcome
    return call.endpoint


def port_of(encoder: ScriptedEncoder) -> str:
    return encoder.endpoint.rpartition(":")[2]


def beside(encoder: ScriptedEncoder, host: str) -> str:
    """The same port at another host."""
    return f"tcp://{host}:{port_of(encoder)}"


@contextlib.asynccontextmanager
async def following(port: str, resolver: Resolver) -> Any:
    engine = Engine([f"tcp://pool:{port}"], "test", resolver)
    try:
        yield engine
    finally:
        await engine.close()


async def test_a_new_address_gets_work_and_one_that_is_gone_gets_none() -> None:
    with ScriptedEncoder() as first, ScriptedEncoder(endpoint=beside(first, TWO)) as second:
        resolver = Resolver(ONE)
        async with following(port_of(first), resolver) as engine:
            assert {await answered_by(engine) for _ in range(4)} == {first.endpoint}
            resolver.answer = [ONE, TWO]
            await until(lambda: len(engine._router.endpoints) == 2)
            await until(lambda: all(each.welcome for each in engine._router.staying))
            assert {await answered_by(engine) for _ in range(4)} == {first.endpoint, second.endpoint}
            resolver.answer = [TWO]
            await until(lambda: list(engine._router.endpoints) == [second.endpoint])
            assert {await answered_by(engine) for _ in range(4)} == {second.endpoint}
            resolver.answer = [ONE]
            await until(lambda: list(engine._router.endpoints) == [first.endpoint])
            assert await answered_by(engine) == first.endpoint


async def test_one_that_leaves_finishes_what_it_has() -> None:
    may_answer = threading.Event()

    def slow(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        assert may_answer.wait(30)
        return echo(request, frames)

    with ScriptedEncoder(slow) as first, ScriptedEncoder(endpoint=beside(first, TWO)) as second:
        resolver = Resolver(ONE)
        async with following(port_of(first), resolver) as engine:
            held = asyncio.create_task(answered_by(engine))
            await asyncio.to_thread(first.wait_for, Encode)
            resolver.answer = [TWO]
            await until(lambda: engine._router.endpoints[first.endpoint].leaving)
            assert await answered_by(engine) == second.endpoint
            may_answer.set()
            assert await held == first.endpoint
            await until(lambda: list(engine._router.endpoints) == [second.endpoint])


async def test_one_that_comes_back_before_it_is_done_never_left() -> None:
    may_answer = threading.Event()

    def slow(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        assert may_answer.wait(30)
        return echo(request, frames)

    with ScriptedEncoder(slow) as first:
        resolver = Resolver(ONE)
        async with following(port_of(first), resolver) as engine:
            held = asyncio.create_task(answered_by(engine))
            await asyncio.to_thread(first.wait_for, Encode)
            resolver.answer = [TWO]
            await until(lambda: engine._router.endpoints[first.endpoint].leaving)
            resolver.answer = [ONE]
            await until(lambda: not engine._router.endpoints[first.endpoint].leaving)
            may_answer.set()
            assert {await held, await answered_by(engine)} == {first.endpoint}


@pytest.mark.parametrize("_", range(5))
async def test_one_that_leaves_is_told_that_nobody_waits_any_more(_: int) -> None:
    """However much is before that on its way."""
    with ScriptedEncoder(nothing, greeting=welcome(max_item_bytes=1 << 30)) as first:
        resolver = Resolver(ONE)
        async with following(port_of(first), resolver) as engine:
            await engine.hello(30)
            calls = engine.submit([image(bytes(8 << 20))], 30)
            resolver.answer = [TWO]
            await until(lambda: engine._router.endpoints[first.endpoint].leaving)
            engine.drop(calls)
            await until(lambda: first.endpoint not in engine._router.endpoints)
            await asyncio.to_thread(first.wait_for, Cancel)


async def test_a_pool_without_replicas_is_a_name_again_and_comes_back() -> None:
    first = ScriptedEncoder()
    resolver = Resolver(ONE)
    async with following(port_of(first), resolver) as engine:
        name = f"tcp://pool:{port_of(first)}"
        assert await answered_by(engine) == first.endpoint
        resolver.answer = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        asked = resolver.asked
        await until(lambda: resolver.asked > asked + 2 * names.MISSING_LOOKS)
        assert await answered_by(engine) == first.endpoint  # it is there still
        first.die()
        await until(lambda: list(engine._router.endpoints) == [name])
        with pytest.raises(Unreachable, match=f"no encoder answers at {name}: the host is unknown"):
            await engine.hello(0.5)
        with ScriptedEncoder(endpoint=beside(first, TWO)) as second:
            waiting = asyncio.create_task(answered_by(engine))
            resolver.answer = [TWO]
            assert await waiting == second.endpoint


async def test_dead_addresses_stay_while_nobody_says_otherwise() -> None:
    first = ScriptedEncoder()
    resolver = Resolver(ONE)
    async with following(port_of(first), resolver) as engine:
        assert await answered_by(engine) == first.endpoint
        first.die()
        resolver.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        asked = resolver.asked
        await until(lambda: resolver.asked > asked + 3 * names.MISSING_LOOKS)
        assert list(engine._router.endpoints) == [first.endpoint]
        with ScriptedEncoder(endpoint=first.endpoint):
            assert await answered_by(engine) == first.endpoint


async def test_addresses_that_come_and_go_leave_nothing_behind() -> None:
    with ScriptedEncoder() as first:
        resolver = Resolver(ONE)
        async with following(port_of(first), resolver) as engine:
            await answered_by(engine)

            async def change(*hosts: str) -> None:
                resolver.answer = hosts
                wanted = [beside(first, host) for host in hosts]
                await until(lambda: list(engine._router.endpoints) == wanted)

            def held() -> tuple[int, int]:
                return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

            await change(TWO)
            await change(ONE)
            await answered_by(engine)
            await until(lambda: not engine._connections._ended)
            before = held()
            for number in range(3, 40):
                await change(f"127.0.0.{number}", f"127.0.1.{number}")
            await change(ONE)
            await answered_by(engine)
            await until(lambda: not engine._connections._ended)
            await until(lambda: held() == before)


async def test_who_is_too_many_is_left_out_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MAX_OF_A_NAME", 1)
    monkeypatch.setattr(connection, "DEFAULT_MAX_SOCKETS", 1)
    with ScriptedEncoder() as first, ScriptedEncoder(endpoint=beside(first, TWO)) as second:
        resolver = Resolver(ONE, TWO)
        async with following(port_of(first), resolver) as engine:
            assert {await answered_by(engine) for _ in range(4)} == {first.endpoint}
            asked = resolver.asked
            await until(lambda: resolver.asked > asked + 3)
            assert "room for 1 encoders" in engine._router.endpoints[second.endpoint].problem
            (warning,) = caplog.records
            assert warning.getMessage().startswith(f"{second.endpoint} is left out for now: this client has room for 1")
            assert warning.levelno == logging.WARNING
            resolver.answer = [TWO]
            await until(lambda: list(engine._router.endpoints) == [second.endpoint])
            assert await answered_by(engine) == second.endpoint


async def test_thousands_that_are_too_many_are_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MAX_OF_A_NAME", 1)
    monkeypatch.setattr(connection, "DEFAULT_MAX_SOCKETS", 1)
    with ScriptedEncoder() as first:
        many = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(250, 1250)]
        resolver = Resolver(ONE, *many)
        async with following(port_of(first), resolver) as engine:
            assert await answered_by(engine) == first.endpoint
            resolver.answer = [ONE, *many, TWO]
            await until(lambda: len(caplog.records) == 2)
            texts = [each.getMessage() for each in caplog.records]
            assert texts[0].startswith(f"{beside(first, many[0])} and 999 others are left out for now: this client has")
            assert texts[1].startswith(f"{beside(first, TWO)} is left out for now: this client has room for 1")


FEW = """
import asyncio, resource, sys
from fleet_client import Unreachable, image, names
from fleet_client.engine import Engine
names.LOOK_SECONDS = 0.01
there = [sys.argv[1]]

async def main():
    engine = Engine(["tcp://pool:" + sys.argv[2]], "test", lambda host: there)
    await engine.hello(30)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # what is open stays so
    there[:] = ["127.0.0.2"]
    while not any("descriptors" in each.problem for each in engine._router.staying):
        await asyncio.sleep(0.01)
    try:
        await engine.hello(0.5)
    except Unreachable as error:
        print(error)
    (call,) = engine.submit([image(b"item")], 30)
    await asyncio.sleep(0.1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await call.done
    print(call.endpoint)
    await engine.close()

asyncio.run(main())
"""


def test_who_finds_no_descriptor_is_left_out_until_there_is_one() -> None:
    with ScriptedEncoder() as first, ScriptedEncoder(endpoint=beside(first, TWO)) as second:
        done = subprocess.run(
            [sys.executable, "-c", FEW, ONE, port_of(first)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    unreachable, answered = done.stdout.splitlines()
    assert unreachable.startswith(f"no encoder answers at {second.endpoint}: ")
    assert "ulimit -n" in unreachable
    assert answered == second.endpoint
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{second.endpoint} is left out for now: ")
