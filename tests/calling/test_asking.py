"""The client against a scripted encoder: what is sent, what comes back, what is cancelled."""

import asyncio
import gc
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fleet_client import (
    AsyncClient,
    Busy,
    Cancelled,
    Client,
    ClientClosed,
    EncodeError,
    Encoding,
    Expired,
    Incompatible,
    Invalid,
    TooLarge,
    Unreachable,
    audio,
    image,
    video,
)
from fleet_client.inbox import Answer
from fleet_client.media import Media
from fleet_client.protocol import Cancel, Encode, Hello, Item, Sampling, Status
from scripted import Message, ScriptedEncoder, echo, no, nothing, ok, welcome


def refuse_x(request: Encode, frames: list[bytes]) -> Sequence[Message]:
    """As `echo`, but media that begin with x are INVALID."""
    return [no(request.id, Status.INVALID, "x it is")] if frames[0][:1] == b"x" else echo(request, frames)


def values(encoding: object) -> bytes:
    assert isinstance(encoding, Encoding)
    return bytes(encoding.embedding.astype(np.uint8)).rstrip(b"\0")


def test_embeddings_come_in_the_order_of_the_items(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
        first, second, third = client.encode(
            [image(b"one"), audio(tmp_path / "file"), video(bytearray(b"vid"), frames=2)]
        )
    assert (values(first), values(second), values(third)) == (b"one", b"file", b"vid")
    assert (first.endpoint, first.attempts, first.cached) == (encoder.endpoint, 1, False)
    assert first.meta.tokens == 1
    assert first.stage_ms == {"forward": 1.0}
    assert first.total_ms > 0


def test_the_protocol_as_it_is_spoken() -> None:
    with ScriptedEncoder() as encoder, Client(encoder.endpoint, name="tester", timeout=30) as client:
        client.encode([video(b"v", fps=2.5)])
        client.encode([image(b"i")], timeout=5)
        client.encode([image(b"i")], timeout=1e9)
    greeting, first, second, third = encoder.heard
    assert greeting == Hello(client="tester")
    assert isinstance(first, Encode)
    assert isinstance(second, Encode)
    assert isinstance(third, Encode)
    assert first.items == [Item(modality="video", frame=0, sampling=Sampling(fps=2.5))]
    assert first.timeout_ms is not None
    assert second.timeout_ms is not None
    assert 25_000 < first.timeout_ms <= 30_000
    assert 0 < second.timeout_ms <= 5_000
    assert third.timeout_ms is None
    assert len({first.id, second.id, third.id}) == 3


def test_urls_are_sent_as_urls() -> None:
    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        assert frames == []
        return [ok(request.id, np.zeros((1, 4), np.float32), cached=True)]

    with ScriptedEncoder(script) as encoder, Client(encoder.endpoint) as client:
        (encoding,) = client.encode([image("https://example.com/a.jpg")])
    assert encoder.encodes()[0].items == [Item(modality="image", url="https://example.com/a.jpg")]
    assert encoding.cached


def test_large_frames_go_both_ways_unharmed() -> None:
    rows = np.random.default_rng(0).standard_normal((1000, 2048), np.float32)
    content = np.random.default_rng(1).bytes(5_000_000)

    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        assert frames == [content]
        return [ok(request.id, rows)]

    with (
        ScriptedEncoder(script, greeting=welcome(max_item_bytes=1 << 30)) as encoder,
        Client(encoder.endpoint) as client,
    ):
        (encoding,) = client.encode([image(content)])
    assert (encoding.embedding == rows).all()
    assert not encoding.embedding.flags.owndata
    assert encoding.embedding.flags.writeable


def test_bfloat16_is_widened_and_torch_keeps_it() -> None:
    torch = pytest.importorskip("torch")
    bits = np.arange(2000 * 512, dtype=np.uint32).astype(np.uint16).reshape(2000, 512)

    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        return [ok(request.id, bits, dtype="bfloat16")]

    with ScriptedEncoder(script) as encoder:
        with Client(encoder.endpoint) as client:
            (wide,) = client.encode([image(b"i")])
        with Client(encoder.endpoint, framework="torch") as client:
            (native,) = client.encode([image(b"i")])
    assert wide.embedding.dtype == np.float32
    assert native.embedding.dtype is torch.bfloat16
    assert (wide.embedding.view(np.uint32) >> 16 == bits).all()
    assert (native.embedding.view(torch.uint16).numpy() == bits).all()


class TestFailedItems:
    items = (image(b"a"), image(b"x1"), image(b"b"), image(b"x2"))

    def test_the_first_one_is_raised_when_all_are_done(self) -> None:
        with (
            ScriptedEncoder(refuse_x) as encoder,
            Client(encoder.endpoint) as client,
            pytest.raises(Invalid, match="x it is") as caught,
        ):
            client.encode(self.items)
        error = caught.value
        assert (error.index, error.status, error.attempts, error.endpoint) == (1, Status.INVALID, 1, encoder.endpoint)
        assert error.results[1] is error
        assert values(error.results[0]) == b"a"
        assert values(error.results[2]) == b"b"
        assert isinstance(error.results[3], Invalid)

    def test_or_stands_in_its_place(self) -> None:
        with ScriptedEncoder(refuse_x) as encoder, Client(encoder.endpoint) as client:
            results = client.encode(self.items, return_errors=True)
        assert [type(each) for each in results] == [Encoding, Invalid, Encoding, Invalid]

    def test_a_stream_raises_it_at_its_end(self) -> None:
        seen = []
        with ScriptedEncoder(refuse_x) as encoder, Client(encoder.endpoint) as client, pytest.raises(Invalid):  # noqa: PT012
            for index, _ in client.stream(self.items):
                seen.append(index)
        assert sorted(seen) == [0, 2]

    def test_it_can_be_pickled(self) -> None:
        error = TooLarge("too large", endpoint="tcp://a:1", attempts=2)
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.endpoint, again.attempts) == (TooLarge, "too large", "tcp://a:1", 2)

    def test_a_missing_file_fails_alone(self, tmp_path: Path) -> None:
        with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
            bad, good = client.encode([image(tmp_path / "none.jpg"), image(b"ok")], return_errors=True)
        assert isinstance(bad, Invalid)
        assert str(bad) == f"cannot read {tmp_path}/none.jpg: no such file"
        assert (bad.index, bad.attempts) == (0, 0)
        assert values(good) == b"ok"


def test_what_is_too_large_is_not_sent() -> None:
    with ScriptedEncoder(greeting=welcome(max_item_bytes=100)) as encoder, Client(encoder.endpoint) as client:
        with pytest.raises(TooLarge, match=r"101 bytes.*100 \(spec\.media\.maxBytes\)"):
            client.encode([image(bytes(101))])
        assert encoder.encodes() == []
        assert len(client.encode([image(bytes(100))])) == 1


@pytest.mark.parametrize(
    "greeting",
    [
        welcome(version=2),
        # A Welcome of a version to come, with fields that this one does not know.
        b"\x84\xa4type\xa7welcome\xa7version\x02\xa6server\xa5e 9.0\xa5shiny\xc3",
    ],
)
def test_another_version_is_named(greeting: bytes) -> None:
    with ScriptedEncoder(greeting=greeting) as encoder, Client(encoder.endpoint) as client:
        with pytest.raises(Incompatible, match="speaks protocol version 2, this client version 1"):
            client.encode([image(b"i")])
        with pytest.raises(Incompatible, match="version 2"):
            client.hello()


def test_the_deadline_is_kept_by_the_client_too() -> None:
    with ScriptedEncoder(nothing) as encoder, Client(encoder.endpoint) as client:
        with pytest.raises(Expired, match="did not answer in time"):
            client.encode([image(b"i")], timeout=0.3)
        encoder.wait_for(Cancel)
    assert encoder.heard[-1] == Cancel(id=encoder.encodes()[0].id)


async def test_items_are_yielded_as_they_finish() -> None:
    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        held.append(request.id)
        return [ok(each, np.zeros((1, 4), np.float32)) for each in reversed(held)] if len(held) == 3 else []

    held: list[str] = []
    with ScriptedEncoder(script) as encoder:
        async with AsyncClient(encoder.endpoint) as client:
            order = [index async for index, _ in client.stream([image(b"1"), image(b"2"), image(b"3")])]
    assert order == [2, 1, 0]


def test_an_item_that_cannot_be_packed_fails_alone_and_at_once() -> None:
    bad = Media("video", b"v", Sampling(frames=2**70))
    with ScriptedEncoder(echo) as encoder, Client(encoder.endpoint) as client:
        outcomes = client.encode([image(b"1"), bad, image(b"2")], return_errors=True)
    assert isinstance(outcomes[0], Encoding)
    assert isinstance(outcomes[1], Invalid)
    assert "cannot be sent" in str(outcomes[1])
    assert isinstance(outcomes[2], Encoding)


@pytest.mark.parametrize("timeout", [float("nan"), "soon"])
def test_a_timeout_that_is_no_number(timeout: float) -> None:
    with pytest.raises(ValueError, match="number|float"):
        Client("127.0.0.1:9", timeout=timeout)
    with Client("127.0.0.1:9") as client, pytest.raises(ValueError, match="number|float"):
        client.encode([image(b"1")], timeout=timeout)


def test_a_time_that_is_over(photos: Path) -> None:
    with ScriptedEncoder(echo) as encoder, Client(encoder.endpoint) as client:
        outcomes = client.encode([image(photos / "coffee.png"), image(b"1")], timeout=-1, return_errors=True)
    assert isinstance(outcomes[0], Expired)
    assert isinstance(outcomes[1], Busy | Unreachable)  # as the encoder was met by then, or not


async def test_what_a_stream_has_yielded_it_does_not_keep() -> None:
    with ScriptedEncoder(echo) as encoder:
        async with AsyncClient(encoder.endpoint) as client:
            async for _ in client.stream([image(bytes([number])) for number in range(50)]):
                kept = sum(type(each) is Answer for each in gc.get_objects())
    assert kept <= 2


async def test_cancelling_a_call_cancels_its_items() -> None:
    with ScriptedEncoder(nothing) as encoder:
        async with AsyncClient(encoder.endpoint) as client:
            call = asyncio.create_task(client.encode([image(b"1"), image(b"2")]))
            await asyncio.to_thread(encoder.wait_for, Encode, 2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(encoder.wait_for, Cancel, 2)
    assert {each.id for each in encoder.heard if isinstance(each, Cancel)} == {each.id for each in encoder.encodes()}


async def test_closing_a_stream_cancels_the_rest() -> None:
    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        return echo(request, frames) if frames[0] == b"1" else []

    with ScriptedEncoder(script) as encoder:
        async with AsyncClient(encoder.endpoint) as client:
            stream = client.stream([image(b"1"), image(b"2")])
            assert (await anext(stream))[0] == 0
            await stream.aclose()
            await asyncio.to_thread(encoder.wait_for, Cancel, 1)


def test_leaving_a_stream_early_cancels_the_rest() -> None:
    with (
        ScriptedEncoder(lambda request, frames: echo(request, frames) if frames[0] == b"1" else []) as encoder,
        Client(encoder.endpoint) as client,
    ):
        for index, _ in client.stream([image(b"1"), image(b"2")]):
            assert index == 0
            break
        encoder.wait_for(Cancel, 1)


def test_closing_the_client_ends_the_calls_of_other_threads() -> None:
    with ScriptedEncoder(nothing) as encoder:
        client = Client(encoder.endpoint)
        outcome: list[BaseException] = []

        def ask() -> None:
            try:
                client.encode([image(b"1")])
            except EncodeError as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        encoder.wait_for(Encode)
        client.close()
        thread.join(30)
        encoder.wait_for(Cancel)
    assert [type(error) for error in outcome] == [Cancelled]


def test_a_closed_client_says_so() -> None:
    with ScriptedEncoder() as encoder:
        client = Client(encoder.endpoint)
        client.close()
        client.close()
        with pytest.raises(ClientClosed, match="make a new one"):
            client.encode([image(b"i")])
        with pytest.raises(ClientClosed):
            list(client.stream([image(b"i")]))


def test_many_threads_share_a_client() -> None:
    with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
        found: dict[int, list[bytes]] = {}

        def ask(number: int) -> None:
            sent = [b"%d%c" % (number, letter) for letter in b"abcdefgh"]
            found[number] = [
                values(each) == want for each, want in zip(client.encode(map(image, sent)), sent, strict=True)
            ]  # type: ignore[misc]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(found) == 16
    assert all(all(each) for each in found.values())


def test_nothing_to_encode_is_nothing() -> None:
    with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
        assert client.encode([]) == []
        assert list(client.stream([])) == []


def test_what_is_no_item_is_refused() -> None:
    with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
        with pytest.raises(TypeError, match="a list of items"):
            client.encode(image(b"i"))  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="not bytes"):
            client.encode([b"i"])  # type: ignore[list-item]


def test_hello_tells_who_is_there(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/encoder"
    with ScriptedEncoder(endpoint=address) as encoder, Client([encoder.endpoint, "127.0.0.1:1"]) as client:
        assert client.hello() == {address: welcome()}


def test_different_models_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with (
        ScriptedEncoder() as one,
        ScriptedEncoder(greeting=welcome(fingerprint="g")) as other,
        Client([one.endpoint, other.endpoint]) as client,
    ):
        while not (one.encodes() and other.encodes()):
            client.encode([image(b"1"), image(b"2")])
    assert len([each for each in caplog.records if "different models" in each.getMessage()]) == 1


def test_who_is_no_encoder_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedEncoder(greeting=b"HTTP/1.1 400") as server, Client(server.endpoint) as client:
        with pytest.raises(Unreachable, match="not protocol version"):
            client.hello(timeout=0.1)
        server.wait_for(Hello, 3)
    assert len([each for each in caplog.records if "not protocol version" in each.getMessage()]) == 1


async def test_a_client_belongs_to_its_loop() -> None:
    with ScriptedEncoder() as encoder:
        async with AsyncClient(encoder.endpoint) as client:
            with pytest.raises(RuntimeError, match="one event loop"):
                await asyncio.to_thread(asyncio.run, client.hello())


def test_wrong_settings_show_at_once() -> None:
    with pytest.raises(ValueError, match="is not an endpoint"):
        Client("nonsense")
    with pytest.raises(ValueError, match="at least one endpoint"):
        Client([])
    with pytest.raises(ValueError, match="'numpy' or 'torch'"):
        Client("127.0.0.1:1", framework="jax")  # type: ignore[arg-type]
