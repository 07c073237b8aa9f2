"""The list of a language server is kept, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from fleet_operator.consumers import asking, knowing
from fleet_operator.consumers import keeper as keeping
from fleet_operator.consumers.asking import Asker, NoAnswerError
from fleet_operator.consumers.compatibility import Facts, mismatch
from fleet_operator.consumers.keeper import Keeper
from fleet_operator.consumers.report import ServerState
from fleet_operator.consumers.servers import LanguageServer as ServerPod
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key
from registering.language_server import MODEL, LanguageServer

KEY = Key("team", "vision")
A, B, THEIRS = "http://10.0.0.1:30000", "http://10.0.0.2:30000", "http://static:30000"
ENCODER = Facts(model_type="qwen2_5_vl")
SERVER_POD = ServerPod("chat/vlm-0", "127.0.0.1", ready=True)
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
async def kept(pool: Pool, registry: int, api: int | None = None, pod: ServerPod = SERVER_POD) -> AsyncIterator[Keeper]:
    """A keeper at work."""
    async with Asker() as asker:
        apis = (api or registry,)
        keeper = Keeper(asker, pool.wish, lambda _: None, pod, registry, apis)
        keeper.serve(frozenset({KEY}), pod, apis)
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
    for module in (keeping, knowing):
        monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.05)
        monkeypatch.setattr(module, "REST_SECONDS", 0.01)
    for name in ("KNOWN_SECONDS", "UNFIT_SECONDS"):
        monkeypatch.setattr(knowing, name, 0.1)
    monkeypatch.setattr(knowing, "WAITING_SECONDS", 0.05)


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
        keeper = Keeper(asker, pool.wish, lambda _: None, pod, server.port, (server.port,))
        keeper.serve(frozenset({KEY}), pod, (server.port,))
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
        ("deep", "answers, but with no"),
        ("forgets", "takes encoders, and does not list them"),
    ],
)
async def test_one_that_does_not_do_its_part_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, manner: str, how: str
) -> None:
    monkeypatch.setattr("fleet_operator.consumers.asking.SECONDS", 0.2)
    server = LanguageServer()
    server.manner = manner
    async with server.running(), kept(Pool(A), server.port) as keeper:
        await until(lambda: keeper.state(KEY) and state(keeper).unreachable)
        assert f"port {server.port}, {how}" in state(keeper).unreachable
        assert "--encoder-bootstrap-port" in state(keeper).unreachable
        assert len(caplog.messages) <= (manner == "forgets")
        assert state(keeper).registered == 0
        server.manner = "well"
        await until(lambda: server.urls == [A] and state(keeper).settled and not state(keeper).unreachable)


async def test_what_has_changed_is_looked_at_before_it_is_told() -> None:
    pool = Pool()
    async with LanguageServer().running() as server, kept(pool, server.port) as keeper:
        await until(lambda: keeper.state(KEY) and keeper.fresh)
        pool.wanted = {A}
        keeper.wake()
        assert (keeper.fresh, state(keeper).settled) == (False, True)
        await until(lambda: keeper.fresh and state(keeper).settled)
        assert (state(keeper).registered, server.urls) == (1, [A])


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


async def test_many_that_hang_delay_none_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECTIONS", "SILENT_CONNECTIONS"):
        monkeypatch.setattr(asking, name, 4)
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    slow = LanguageServer()
    slow.manner = "hangs"
    async with slow.running(), LanguageServer([A]).running() as good, Asker() as asker:
        address = f"127.0.0.1:{slow.port}"
        with pytest.raises(NoAnswerError):
            await asker.listed(address)
        monkeypatch.setattr(asking, "SECONDS", 20)
        waiting = [asyncio.create_task(asker.listed(address)) for _ in range(20)]
        await until(lambda: slow.looks > 4)
        assert await asyncio.wait_for(asker.listed(f"127.0.0.1:{good.port}"), 5) == (A,)
        # It answers again, and is one of the others.
        slow.manner = "well"
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await asker.listed(address) == ()
        assert address not in asker._silent


async def test_one_that_hangs_while_it_is_told_of_many_is_first_told_who_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    pool = Pool(A)
    many = {f"http://10.1.0.{number}:30000" for number in range(60)}
    async with LanguageServer().running() as server, kept(pool, server.port) as keeper:
        await until(lambda: server.urls == [A])
        server.takes_none = True
        pool.wanted = many | {A}
        keeper.wake()
        await until(lambda: len(server.asked) > 1)
        pool.wanted, pool.unwanted = many, {A}
        keeper.wake()
        await until(lambda: f"DELETE {A}" in server.asked)
        assert len(server.asked) < 30


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


@pytest.mark.parametrize("chunk", [1, 1000])
async def test_an_answer_comes_in_any_parts(chunk: int) -> None:
    text = json.dumps({"encoder_urls": [A, B] * 200, "more": {str(number): number for number in range(100)}}).encode()

    async def listed(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for begin in range(0, len(text), chunk):
            await answer.write(text[begin : begin + chunk])
        return answer

    app = web.Application()
    app.router.add_get("/list_encoder_urls", listed)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with Asker() as asker:
            assert await asker.listed(f"127.0.0.1:{runner.addresses[0][1]}") == (A, B) * 200
    finally:
        await runner.cleanup()


async def test_very_many_are_registered_in_parts() -> None:
    urls = {f"http://10.0.{number // 250}.{number % 250}:30000" for number in range(300)}
    async with LanguageServer().running() as server, kept(Pool(*urls), server.port):
        await until(lambda: len(server.urls) == 300)
        assert {*server.urls} == urls


OTHER = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@pytest.mark.parametrize("silence", ["refuses", "hangs", "503"])
async def test_one_whose_list_is_there_before_its_api_gets_no_encoder_until_it_says_that_it_fits(
    monkeypatch: pytest.MonkeyPatch, silence: str
) -> None:
    monkeypatch.setattr("fleet_operator.consumers.asking.SECONDS", 0.2)
    pool, listing, api = Pool(A), LanguageServer(), LanguageServer()
    api.model = OTHER
    port = closed_port()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listing.running())
        if silence != "refuses":
            api.api_status, api.api_hangs = (503 if silence == "503" else 200), silence == "hangs"
            await stack.enter_async_context(api.running(port=port))
        keeper = await stack.enter_async_context(kept(pool, listing.port, port))
        # Its list is looked at meanwhile, and it is not taken for one that is settled.
        await until(lambda: keeper.state(KEY))
        await until(lambda: listing.looks >= 5)
        assert (state(keeper).settled, state(keeper).registered, listing.asked) == (False, 0, [])
        if silence == "refuses":
            await stack.enter_async_context(api.running(port=port))
        api.api_status, api.api_hangs = 200, False
        await until(lambda: state(keeper).mismatch)
        assert listing.asked == []
        api.model = dict(MODEL)
        await until(lambda: listing.urls == [A])


async def test_one_that_is_ready_and_says_nothing_for_long_gets_encoders_with_a_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knowing, "SILENT_SECONDS", 0.3)
    async with LanguageServer().running() as listing, kept(Pool(A), listing.port, closed_port()) as keeper:
        await until(lambda: listing.urls == [A])
        await until(lambda: state(keeper).settled)
        assert "compatibility unknown: its API on port" in state(keeper).doubt
        # It never waits again: it is in use.
        keeper.serve(frozenset({KEY}), ServerPod("chat/vlm-0", "127.0.0.1", ready=False), (closed_port(),))
        looks = listing.looks
        await until(lambda: listing.looks >= looks + 3)
        assert listing.asked == [f"POST {A}"]


async def test_one_that_still_starts_keeps_nobody_from_being_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowing, "SILENT_SECONDS", 0.0)
    pod = ServerPod("chat/vlm-0", "127.0.0.1", ready=False)
    async with LanguageServer().running() as listing, kept(Pool(A), listing.port, closed_port(), pod) as keeper:
        await until(lambda: listing.looks >= 5)
        assert (state(keeper).settled, state(keeper).wanted, listing.asked) == (True, 0, [])


async def test_of_another_pod_at_its_address_nothing_is_known() -> None:
    old, api = LanguageServer(), LanguageServer()
    async with old.running() as listing, AsyncExitStack() as stack:
        port = closed_port()
        first, then = (ServerPod("chat/vlm-0", "127.0.0.1", ready=True, uid=uid) for uid in ("one", "two"))
        async with api.running(port=port):
            keeper = await stack.enter_async_context(kept(Pool(A), listing.port, port, first))
            await until(lambda: listing.urls == [A])
        # Another one gets its address, with another model that it cannot tell yet.
        listing.urls.clear()
        listing.asked.clear()
        keeper.serve(frozenset({KEY}), then, (port,))
        looks = listing.looks
        await until(lambda: listing.looks >= looks + 5)
        assert f"POST {A}" not in listing.asked
        api.model = OTHER
        async with api.running(port=port):
            await until(lambda: state(keeper).mismatch)
        assert f"POST {A}" not in listing.asked


async def test_another_port_of_its_api_takes_no_encoder_away() -> None:
    pool, listing = Pool(A), LanguageServer()
    async with listing.running(), kept(pool, listing.port) as keeper:
        await until(lambda: listing.urls == [A])
        keeper.serve(frozenset({KEY}), SERVER_POD, (closed_port(),))
        looks = listing.looks
        await until(lambda: listing.looks >= looks + 5)
        assert listing.asked == [f"POST {A}"]


async def test_of_several_ports_of_its_api_that_which_answers_is_right() -> None:
    pool, listing, api = Pool(A), LanguageServer(), LanguageServer()
    api.model = OTHER
    async with listing.running(), api.running():
        for apis in ((closed_port(), api.port), (api.port, closed_port())):
            async with Asker() as asker:
                keeper = Keeper(asker, pool.wish, lambda _: None, SERVER_POD, listing.port, apis)
                keeper.serve(frozenset({KEY}), SERVER_POD, apis)
                task = asyncio.create_task(keeper.run())
                await until(lambda: keeper.state(KEY) and state(keeper).mismatch)  # noqa: B023
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        assert listing.asked == []


async def test_who_cannot_be_told_that_it_serves_no_pool_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    server = LanguageServer([THEIRS])
    async with server.running(), kept(Pool(A), server.port) as keeper:
        await until(lambda: server.urls == [THEIRS, A])
        server.manner = "fails"
        await until(lambda: state(keeper).unreachable)
        keeper.retire()
        looks = server.looks
        await until(lambda: server.looks >= looks + 5)
        server.manner = "well"
        await until(lambda: server.urls == [THEIRS])


async def test_who_cannot_be_told_for_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "RETIRING_SECONDS", 0.0)
    caplog.set_level("INFO")
    async with LanguageServer().running() as server, Asker() as asker:
        keeper = Keeper(asker, Pool(A).wish, lambda _: None, SERVER_POD, server.port, (server.port,))
        keeper.serve(frozenset({KEY}), SERVER_POD, (server.port,))
        running = asyncio.create_task(keeper.run())
        await until(lambda: server.urls == [A])
        server.manner = "fails"
        keeper.retire()
        await asyncio.wait_for(running, PATIENCE)
    assert "1 encoders not unregistered, if it is still there" in caplog.text


async def test_a_defect_while_it_is_asked_what_it_is_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: Any) -> Facts:
        raise RuntimeError("a defect")

    monkeypatch.setattr(knowing, "server_facts", defect)
    async with LanguageServer().running() as server, kept(Pool(A), server.port) as keeper:
        await until(lambda: server.urls == [A])
        await until(lambda: keeper.state(KEY) and state(keeper).settled)
        assert "by a defect of the operator" in state(keeper).doubt
        assert "chat/vlm-0: cannot be asked what it is" in caplog.messages


@pytest.mark.parametrize(
    ("silent", "since", "waited_for"),
    [
        (True, None, True),
        (True, 100.0, True),
        (True, 100.0 - knowing.SILENT_SECONDS, False),
        # It answers, and does not say: 401, 403, 404.
        (False, None, False),
    ],
)
def test_who_is_waited_for(silent: bool, since: float | None, waited_for: bool) -> None:
    assert knowing.still_waited_for(silent, since, 100.0) == waited_for


@pytest.mark.parametrize(
    ("before", "ready", "since"), [(None, False, None), (None, True, 9.0), (5.0, True, 5.0), (5.0, False, None)]
)
def test_the_time_of_one_whose_pod_is_not_ready_does_not_run(
    before: float | None, ready: bool, since: float | None
) -> None:
    assert knowing.silent_since(before, ready, 9.0) == since
