"""The list of a language server is kept, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fleet_operator.consumers import keeper as keeping
from fleet_operator.consumers.asking import Asker, NoAnswerError
from fleet_operator.consumers.compatibility import Facts, mismatch
from fleet_operator.consumers.keeper import Keeper
from fleet_operator.consumers.report import ServerState
from fleet_operator.consumers.servers import LanguageServer as ServerPod
from fleet_operator.consumers.servers import Ports
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key
from registering.language_server import LanguageServer

KEY = Key("team", "vision")
A, B, THEIRS = "http://10.0.0.1:30000", "http://10.0.0.2:30000", "http://static:30000"
ENCODER = Facts(model_type="qwen2_5_vl")
PATIENCE = 30


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.02)


class Pool:
    """What a language server shall have."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = {*wanted}
        self.unwanted: set[str] = set()

    def wish(self, _: Key, server: Facts, unsure: str) -> Wishes:
        said = mismatch(ENCODER, server)
        wanted = frozenset() if said else frozenset(self.wanted)
        refused = self.wanted if said else set()
        return Wishes(wanted, frozenset(self.unwanted | refused), said, unsure)


@asynccontextmanager
async def kept(pool: Pool, registry: int, api: int | None = None) -> AsyncIterator[Keeper]:
    """A keeper at work."""
    async with Asker() as asker:
        pod = ServerPod("chat/vlm-0", "127.0.0.1", ready=True)
        keeper = Keeper(asker, pool.wish, lambda _: None, pod, Ports(registry, api or registry))
        keeper.serve(frozenset({KEY}), pod)
        task = asyncio.create_task(keeper.run())
        try:
            yield keeper
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def state(keeper: Keeper) -> ServerState:
    found = keeper.state(KEY)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every few seconds is every few hundredths."""
    monkeypatch.setattr(keeping, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(keeping, "KNOWN_SECONDS", 0.1)
    monkeypatch.setattr(keeping, "UNFIT_SECONDS", 0.1)
    monkeypatch.setattr(keeping, "REST_SECONDS", 0.01)


async def test_encoders_come_and_go_and_what_others_put_there_stays() -> None:
    pool = Pool(A)
    async with LanguageServer([THEIRS]).running() as server, kept(pool, server.port) as keeper:
        await until(lambda: server.urls == [THEIRS, A])
        await until(lambda: keeper.state(KEY) and state(keeper).settled)
        assert (state(keeper).wanted, state(keeper).registered, state(keeper).doubt) == (1, 1, "")
        pool.wanted, pool.unwanted = {B}, {A}
        keeper.wake()
        await until(lambda: server.urls == [THEIRS, B])
        server.urls.clear()  # started anew
        await until(lambda: server.urls == [B])
        assert server.asked.count(f"POST {B}") == 2


async def test_who_serves_no_pool_any_more_loses_what_is_ours_and_is_left_alone_then() -> None:
    pool = Pool(A, B)
    async with LanguageServer([THEIRS]).running() as server, Asker() as asker:
        pod = ServerPod("chat/vlm-0", "127.0.0.1", ready=True)
        keeper = Keeper(asker, pool.wish, lambda _: None, pod, Ports(server.port, server.port))
        keeper.serve(frozenset({KEY}), pod)
        running = asyncio.create_task(keeper.run())
        await until(lambda: len(server.urls) == 3)
        keeper.retire()
        await asyncio.wait_for(running, PATIENCE)
        assert server.urls == [THEIRS]


@pytest.mark.parametrize(
    ("manner", "how"),
    [
        ("hangs", "does not answer within"),
        ("fails", "answers HTTP 500"),
        ("nonsense", "answers, but with no"),
    ],
)
async def test_one_that_does_not_do_its_part_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, manner: str, how: str
) -> None:
    monkeypatch.setattr("fleet_operator.consumers.asking.SECONDS", 0.2)
    server = LanguageServer()
    server.manner = manner
    async with server.running(), kept(Pool(A), server.port) as keeper:
        await until(lambda: keeper.state(KEY) and state(keeper).unreachable)
        assert f"port {server.port}, {how}" in state(keeper).unreachable
        assert "--encoder-bootstrap-port" in state(keeper).unreachable
        server.manner = "well"
        await until(lambda: server.urls == [A] and state(keeper).settled and not state(keeper).unreachable)


async def test_nobody_listens() -> None:
    async with LanguageServer().running() as server:
        port = server.port
    async with kept(Pool(A), port) as keeper:
        await until(lambda: keeper.state(KEY) and state(keeper).unreachable)
        assert "refuses connections" in state(keeper).unreachable
        assert "compatibility unknown: its API on port" in state(keeper).doubt


async def test_one_that_hangs_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_operator.consumers.asking.SECONDS", 20)
    slow = LanguageServer()
    slow.manner = "hangs"
    pool = Pool(A)
    async with slow.running(), LanguageServer().running() as good, kept(pool, slow.port), kept(pool, good.port):
        await asyncio.wait_for(until(lambda: good.urls == [A]), 5)
        assert slow.urls == []


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_where_the_api_does_not_say_encoders_are_registered_with_a_doubt(status: int) -> None:
    server = LanguageServer()
    server.api_status = status
    async with server.running(), kept(Pool(A), server.port) as keeper:
        await until(lambda: server.urls == [A])
        await until(lambda: keeper.state(KEY) and state(keeper).settled)
        assert state(keeper).doubt == f"compatibility unknown: its API on port {server.port} answers HTTP {status}"


async def test_one_of_another_model_gets_no_encoder(caplog: pytest.LogCaptureFixture) -> None:
    server = LanguageServer()
    server.model = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}
    async with server.running(), kept(Pool(A), server.port) as keeper:
        await until(lambda: keeper.state(KEY) and state(keeper).mismatch)
        assert (state(keeper).wanted, server.asked) == (0, [])
        (line,) = [each for each in caplog.messages if "INCOMPATIBLE" in each]
        assert "chat/vlm-0: INCOMPATIBLE with the encoders of team/vision: model_type" in line
        # It is started anew with the right one, then with the wrong one while encoders are registered.
        server.model = {"model_type": "qwen2_5_vl"}
        await until(lambda: server.urls == [A])
        server.model = {"model_type": "qwen2_vl"}
        await until(lambda: server.urls == [])


async def test_whatever_a_list_is_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_operator.consumers.asking.MAX_BYTES", 1000)
    async with LanguageServer(["x" * 2000]).running() as server, Asker() as asker:
        with pytest.raises(NoAnswerError, match="too much"):
            await asker.listed(f"127.0.0.1:{server.port}")


async def test_very_many_are_registered_in_parts() -> None:
    urls = {f"http://10.0.{number // 250}.{number % 250}:30000" for number in range(300)}
    async with LanguageServer().running() as server, kept(Pool(*urls), server.port):
        await until(lambda: len(server.urls) == 300)
        assert {*server.urls} == urls
