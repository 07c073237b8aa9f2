"""Encoders that are full, that go, die, come back, or talk nonsense: nobody's item is lost."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_client import Busy, Client, Encoding, Internal, Lost, Unreachable, image, protocol
from fleet_client.protocol import Encode, Hello, Status, Tensor
from scripted import Message, ScriptedEncoder, echo, no, nothing, ok, welcome

ITEMS = [image(b"%03d" % number) for number in range(40)]


def always(status: Status, **changes: Any) -> Callable[[Encode, list[bytes]], Sequence[Message]]:
    return lambda request, frames: [no(request.id, status, "scripted", **changes)]


def all_there(encodings: Sequence[Encoding]) -> bool:
    return [bytes(each.embedding.astype(np.uint8))[:3] for each in encodings] == [each.source for each in ITEMS]


@pytest.mark.parametrize("status", [Status.BUSY, Status.DRAINING, Status.INTERNAL, Status.CANCELLED])
def test_another_encoder_takes_over_under_the_same_ids(status: Status) -> None:
    with ScriptedEncoder(always(status)) as bad, ScriptedEncoder() as good:
        with Client([bad.endpoint, good.endpoint]) as client:
            client.hello()
            bad.wait_for(Hello)
            encodings = client.encode(ITEMS)
        assert all_there(encodings)
        assert {each.endpoint for each in encodings} == {good.endpoint}
        refused = {request.id for request in bad.encodes()}
        assert refused <= {request.id for request in good.encodes()}
        moved = [each for each in encodings if each.attempts > 1]
        assert len(moved) >= len(refused) > 0 or not refused


def test_busy_everywhere_is_asked_again_after_the_hint() -> None:
    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        asked.append(time.monotonic())
        return [no(request.id, Status.BUSY, "full", retry_after_ms=200)] if len(asked) < 3 else echo(request, frames)

    asked: list[float] = []
    with ScriptedEncoder(script) as encoder, Client(encoder.endpoint) as client:
        (encoding,) = client.encode([image(b"i")])
    assert encoding.attempts == 3
    assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(asked))


def test_busy_until_the_deadline() -> None:
    with (
        ScriptedEncoder(always(Status.BUSY, retry_after_ms=50)) as encoder,
        Client(encoder.endpoint) as client,
        pytest.raises(Busy, match="full until the deadline.*scripted") as caught,
    ):
        client.encode([image(b"i")], timeout=0.5)
    assert caught.value.attempts > 1
    assert caught.value.retry_after == 0.05


def test_a_dying_encoders_items_go_to_the_living_one() -> None:
    with ScriptedEncoder() as good:
        bad = ScriptedEncoder(nothing)
        with Client([bad.endpoint, good.endpoint]) as client:
            found: list[Encoding] = []
            thread = threading.Thread(target=lambda: found.extend(client.encode(ITEMS)))
            while not bad.encodes():  # until both are known and get their share
                client.encode([image(b"i")], timeout=2, return_errors=True)
            thread.start()
            bad.wait_for(Encode, 15)
            bad.die()
            thread.join(30)
        assert all_there(found)
        assert any(each.attempts == 2 for each in found)


def test_an_encoder_that_comes_back_is_used_again(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/encoder"
    first = ScriptedEncoder(nothing, endpoint=address)
    with Client(address) as client:
        found: list[Encoding] = []
        thread = threading.Thread(target=lambda: found.extend(client.encode(ITEMS)))
        thread.start()
        first.wait_for(Encode, len(ITEMS))
        first.die()
        with ScriptedEncoder(endpoint=address):
            thread.join(30)
    assert all_there(found)
    assert {each.attempts for each in found} == {2}


def test_an_item_that_kills_its_encoders_is_given_up(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/encoder"
    stop = threading.Event()

    def supervise() -> None:
        while not stop.is_set():
            with ScriptedEncoder(nothing, endpoint=address) as encoder:
                while not encoder.encodes() and not stop.is_set():
                    time.sleep(0.01)

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        with Client(address) as client, pytest.raises(Lost, match="the item may be what kills them"):
            client.encode([image(b"poison")])
    finally:
        stop.set()
        supervisor.join()


def damaged(**changes: Any) -> Callable[[Encode, list[bytes]], Sequence[Message]]:
    return lambda request, frames: [ok(request.id, np.zeros((1, 4), np.float32), **changes)]


@pytest.mark.parametrize(
    "script",
    [
        damaged(tensor=None),
        damaged(meta=None),
        damaged(tensor=Tensor(frame=3, dtype="float32", shape=[1, 4])),
        damaged(tensor=Tensor(frame=-1, dtype="float32", shape=[1, 4])),
        damaged(tensor=Tensor(frame=0, dtype="float32", shape=[1, 5])),
        damaged(tensor=Tensor(frame=0, dtype="object", shape=[1, 4])),
        lambda request, frames: [[b"\xc1\xff garbage"]],
        lambda request, frames: [[b""]],
        lambda request, frames: [[protocol.pack(protocol.Hello())]],
        lambda request, frames: [[b"\x81\xa4type\xa6result"]],
    ],
)
def test_nonsense_is_not_believed(script: Callable[[Encode, list[bytes]], Sequence[Message]]) -> None:
    with ScriptedEncoder(script) as bad, ScriptedEncoder() as good, Client([bad.endpoint, good.endpoint]) as client:
        while not bad.encodes():
            client.encode([image(b"i")])
        assert all_there(client.encode(ITEMS))


def test_nonsense_of_the_only_encoder_is_its_failure() -> None:
    with (
        ScriptedEncoder(damaged(tensor=None)) as encoder,
        Client(encoder.endpoint) as client,
        pytest.raises(Internal, match="damaged answer"),
    ):
        client.encode([image(b"i")])


def test_answers_that_nobody_asked_for_do_no_harm() -> None:
    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        return [no("other", Status.INVALID), *echo(request, frames), *echo(request, frames)]

    with ScriptedEncoder(script) as encoder, Client(encoder.endpoint) as client:
        assert all_there(client.encode(ITEMS))
        assert all_there(client.encode(ITEMS))


def test_one_that_warms_up_is_waited_for() -> None:
    with ScriptedEncoder(greeting=welcome(ready=False)) as encoder, Client(encoder.endpoint) as client:
        found: list[Encoding] = []
        thread = threading.Thread(target=lambda: found.extend(client.encode(ITEMS)))
        thread.start()
        encoder.wait_for(Hello, 2)
        assert encoder.encodes() == []
        encoder.greeting = welcome()
        thread.join(30)
    assert all_there(found)


def test_three_of_ten_that_fail_at_everything_cost_nobody_an_item() -> None:
    with contextlib.ExitStack() as stack:
        sick = [stack.enter_context(ScriptedEncoder(always(Status.INTERNAL))) for _ in range(3)]
        well = [stack.enter_context(ScriptedEncoder()) for _ in range(7)]
        client = stack.enter_context(Client([each.endpoint for each in (*sick, *well)]))
        while len(client.hello()) < 10:
            time.sleep(0.01)
        encodings = client.encode([image(b"%04d" % number) for number in range(2000)])
        assert {each.endpoint for each in encodings} <= {each.endpoint for each in well}
        assert [each.embedding.astype(np.uint8).tobytes() for each in encodings] == [b"%04d" % n for n in range(2000)]


def test_an_item_that_kills_its_encoder_takes_nobody_with_it(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/encoder"
    stop, poisoned = threading.Event(), threading.Event()

    def script(request: Encode, frames: list[bytes]) -> Sequence[Message]:
        if frames[0] == b"poison":
            poisoned.set()
        return [] if poisoned.is_set() else echo(request, frames)

    def supervise() -> None:
        while not stop.is_set():
            poisoned.clear()
            with ScriptedEncoder(script, endpoint=address):
                while not poisoned.wait(0.01) and not stop.is_set():
                    pass

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        with Client(address) as client:
            outcomes = client.encode([image(b"poison"), *ITEMS], return_errors=True)
    finally:
        stop.set()
        supervisor.join()
    assert isinstance(outcomes[0], Lost)
    assert all_there([each for each in outcomes if isinstance(each, Encoding)])


def test_items_go_to_all_that_are_there_from_the_first_call_on() -> None:
    with contextlib.ExitStack() as stack:
        encoders = [stack.enter_context(ScriptedEncoder(nothing)) for _ in range(2)]
        client = stack.enter_context(Client([each.endpoint for each in encoders]))
        client.hello()
        thread = threading.Thread(target=lambda: client.encode(ITEMS[:7], return_errors=True))
        thread.start()
        for each in encoders:
            each.wait_for(Encode, 3)
        client.close()
        thread.join(30)
        assert sorted(len(each.encodes()) for each in encoders) == [3, 4]


class TestNobodyThere:
    def test_all_are_named_with_what_is_wrong(self) -> None:
        unknown = f"tcp://{'a' * 64}.example:5570"  # a label has 63 letters at most: no resolver is asked
        with Client(["127.0.0.1:1", unknown]) as client, pytest.raises(Unreachable) as caught:
            client.encode([image(b"i")], timeout=1)
        assert "tcp://127.0.0.1:1: is it running?" in str(caught.value)
        assert f"{unknown}: the host is unknown" in str(caught.value)

    def test_hello_need_not_wait_for_the_deadline(self) -> None:
        with (
            Client("127.0.0.1:1") as client,
            pytest.raises(Unreachable, match=r"no encoder answers at tcp://127\.0\.0\.1:1: is it running\?"),
        ):
            client.hello(timeout=0.5)

    def test_something_else_listens_there(self) -> None:
        import socket

        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            Client(f"127.0.0.1:{server.getsockname()[1]}") as client,
            pytest.raises(Unreachable, match="no encoder: is it the right port"),
        ):
            client.hello(timeout=0.5)

    def test_one_that_appears_in_time_is_used(self, tmp_path: Path) -> None:
        address = f"ipc://{tmp_path}/encoder"
        with Client(address) as client:
            found: list[Encoding] = []
            thread = threading.Thread(target=lambda: found.extend(client.encode(ITEMS)))
            thread.start()
            with pytest.raises(Unreachable):
                client.hello(timeout=0.3)
            with ScriptedEncoder(endpoint=address):
                thread.join(30)
        assert all_there(found)
