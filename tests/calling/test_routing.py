"""Which encoder gets which item, and what each answer means: tables over the pure router."""

import itertools
import sys
from collections.abc import Sequence
from types import FrameType

import pytest

from fleet_client import errors
from fleet_client.choosing import SETTLE_SECONDS
from fleet_client.endpoint import (
    BACKOFF_MAX_SECONDS,
    BACKOFF_SECONDS,
    GRACE_SECONDS,
    REDEEMING_HITS,
    SILENCE_SECONDS,
    SLOWEST_BYTES_PER_SECOND,
)
from fleet_client.jobs import Abandon, Action, Fail, Greet, Job, Part, Send
from fleet_client.protocol import Load, Modality, Result, Status
from fleet_client.routing import MAX_FAILURES, MAX_LOSSES, Router
from scripted import welcome

A, B, C = "tcp://a:1", "tcp://b:1", "tcp://c:1"


class World:
    """A router and a clock; its actions as they fall."""

    def __init__(self, *addresses: str, serving: bool = True) -> None:
        self.router = Router(addresses, 0.0, jitter=lambda: 0.0)
        self.now = 0.0
        if serving:
            for address in addresses:
                self.serve(address)
        self.decide()

    def serve(self, address: str, **changes: object) -> None:
        self.router.connected(address, self.now)
        self.router.welcomed(address, welcome(**changes), self.now)

    def submit(self, *items: str, modality: Modality = "image", size: int = 1000, deadline: float = 100.0) -> None:
        for item in items:
            self.router.submit(Job(item, modality, size, deadline))

    def decide(self, after: float = 0.0) -> Sequence[Action]:
        self.now += after
        return self.router.decide(self.now)

    def sent(self, after: float = 0.0) -> list[tuple[str, str]]:
        """(item, endpoint) of what is sent now."""
        return [(each.id, each.address) for each in self.decide(after) if isinstance(each, Send)]

    def answer(self, address: str, item: str, status: Status = Status.OK, **changes: object) -> bool:
        result = Result(id=item, index=0, status=status, message=f"{status} from {address}", **changes)  # type: ignore[arg-type]
        return self.router.answered(address, result, self.now)

    def failure(self, after: float = 0.0) -> errors.EncodeError:
        failures = [each.error for each in self.decide(after) if isinstance(each, Fail)]
        assert len(failures) == 1
        return failures[0]


def test_equal_items_are_spread_evenly() -> None:
    world = World(A, B, C)
    world.submit(*"123456")
    assert sorted(address for _, address in world.sent()) == [A, A, B, B, C, C]


def test_the_encoder_with_the_least_pending_is_next() -> None:
    world = World(A, B)
    world.router.loaded(A, Load(pending_patches=50_000), world.now)
    world.router.loaded(B, Load(pending_patches=49_000), world.now)
    world.submit("1")
    assert world.sent() == [("1", B)]


def test_a_video_counts_more_than_images() -> None:
    world = World(A, B)
    world.submit("video", modality="video", size=1_000_000)
    world.submit(*"123456", size=20_000)
    placed = dict(world.sent())
    assert placed.pop("video") not in placed.values()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status.INVALID, errors.Invalid),
        (Status.TOO_LARGE, errors.TooLarge),
        (Status.MEDIA_UNREACHABLE, errors.MediaUnreachable),
        (Status.INCOMPATIBLE, errors.Incompatible),
        (Status.EXPIRED, errors.Expired),
    ],
)
def test_final_answers_are_not_tried_elsewhere(status: Status, error: type[errors.EncodeError]) -> None:
    world = World(A, B)
    world.submit("1")
    (_, first), *_ = world.sent()
    assert not world.answer(first, "1", status)
    failed = world.failure()
    assert type(failed) is error
    assert (failed.endpoint, failed.attempts, str(failed)) == (first, 1, f"{status} from {first}")
    assert not world.router.jobs


@pytest.mark.parametrize("status", [Status.BUSY, Status.DRAINING, Status.INTERNAL, Status.CANCELLED])
def test_other_answers_send_the_item_elsewhere_under_the_same_id(status: Status) -> None:
    world = World(A, B)
    world.router.loaded(B, Load(pending_patches=9000), world.now)
    world.submit("1")
    assert world.sent() == [("1", A)]
    world.answer(A, "1", status, pending_patches=20_000)
    assert world.sent() == [("1", B)]
    assert world.answer(B, "1")
    assert not world.router.jobs


def test_all_busy_waits_for_the_hint_then_asks_again() -> None:
    world = World(A, B)
    world.submit("1")
    (_, first), *_ = world.sent()
    world.answer(first, "1", Status.BUSY, retry_after_ms=2000)
    (_, second), *_ = world.sent()
    assert second != first
    world.answer(second, "1", Status.BUSY, retry_after_ms=3000)
    assert world.sent() == []
    assert world.router.wake_at(world.now) == 2.0
    assert world.sent(after=2.0) == [("1", first)]


def test_the_hint_is_spread_by_jitter() -> None:
    router = Router([A], 0.0, jitter=lambda: 0.8)
    world = World(A)
    world.router = router
    world.serve(A)
    world.submit("1")
    world.sent()
    world.answer(A, "1", Status.BUSY, retry_after_ms=1000)
    world.decide()
    assert router.wake_at(world.now) == pytest.approx(1.4)


def test_busy_until_the_deadline_is_busy_with_the_hint() -> None:
    world = World(A)
    world.submit("1", deadline=5.0)
    world.sent()
    world.answer(A, "1", Status.BUSY, retry_after_ms=7000)
    failed = world.failure(after=5.0)
    assert isinstance(failed, errors.Busy)
    assert failed.retry_after == 7.0
    assert "BUSY from tcp://a:1" in str(failed)


def test_busy_closes_the_window_to_what_was_taken_and_success_opens_it() -> None:
    world = World(A)
    world.submit(*"1234")
    assert len(world.sent()) == 4
    world.answer(A, "3", Status.BUSY, retry_after_ms=100)
    world.answer(A, "4", Status.BUSY, retry_after_ms=100)
    assert world.sent(after=0.2) == []  # what it holds is all that fits
    world.answer(A, "1")
    assert len(world.sent()) == 2  # one place is free, and one more is tried


def test_no_more_is_sent_than_an_encoder_admits() -> None:
    world = World(A, serving=False)
    world.serve(A, max_pending_patches=3000)
    world.submit(*"123456", size=100_000)  # a thousand patches each
    assert len(world.sent()) == 3
    world.answer(A, "1")
    assert len(world.sent()) == 1


def test_one_item_is_always_let_through() -> None:
    world = World(A, serving=False)
    world.serve(A, max_pending_patches=1)
    world.submit("1", "2", modality="video")
    assert [item for item, _ in world.sent()] == ["1"]


def test_a_lost_encoders_items_go_elsewhere_first_and_in_order() -> None:
    world = World(A)
    world.submit(*"123")
    world.sent()
    world.submit("4")
    world.router.lost(A, "gone", world.now)
    world.router.connected(A, world.now)
    world.serve(A)
    assert [item for item, _ in world.sent()] == ["1", "2", "3", "4"]


def test_an_item_that_kills_its_encoders_is_given_up() -> None:
    world = World(A, B)
    world.submit("1")
    for _ in range(MAX_LOSSES):
        (_, address), *_ = world.sent()
        world.router.lost(address, "gone", world.now)
        last = address
        world.serve(address)
    failed = world.failure()
    assert isinstance(failed, errors.Lost)
    assert failed.attempts == MAX_LOSSES
    assert last in str(failed)


def test_internal_is_tried_on_a_few_encoders_once_each() -> None:
    world = World(*(f"tcp://{name}:1" for name in "abcdef"))
    world.submit("1")
    seen = []
    for _ in range(MAX_FAILURES):
        (_, address), *_ = world.sent()
        seen.append(address)
        world.answer(address, "1", Status.INTERNAL)
    assert isinstance(world.failure(), errors.Internal)
    assert len(set(seen)) == MAX_FAILURES


def test_internal_of_the_only_encoder_is_final() -> None:
    world = World(A)
    world.submit("1")
    world.sent()
    world.answer(A, "1", Status.INTERNAL)
    assert isinstance(world.failure(), errors.Internal)


def test_after_internal_another_encoder_is_waited_for_a_moment() -> None:
    world = World(A, B)
    world.submit("1")
    (_, address), *_ = world.sent()
    world.answer(address, "1", Status.INTERNAL)
    other = B if address == A else A
    world.router.lost(other, "gone", world.now)
    assert world.decide(after=BACKOFF_SECONDS) == []
    assert world.router.wake_at(world.now) == GRACE_SECONDS
    world.router.lost(other, "still gone", world.now)
    assert isinstance(world.failure(after=GRACE_SECONDS), errors.Internal)


def test_after_internal_one_that_connects_late_is_used() -> None:
    world = World(A, B, serving=False)
    world.serve(A)
    world.submit("1")
    assert world.sent() == [("1", A)]
    world.answer(A, "1", Status.INTERNAL)
    assert world.sent() == []
    world.serve(B)
    assert world.sent() == [("1", B)]


def test_a_draining_encoder_gets_nothing_until_it_says_that_it_is_ready() -> None:
    world = World(A)
    world.submit("1")
    world.sent()
    world.answer(A, "1", Status.DRAINING)
    assert world.sent() == []
    assert world.decide(after=1.0) == [Greet(A)]
    world.router.welcomed(A, welcome(ready=False), world.now)
    assert world.sent() == []
    world.router.welcomed(A, welcome(), world.now)
    assert world.sent() == [("1", A)]


def test_a_load_report_tells_of_draining() -> None:
    world = World(A, B)
    world.router.loaded(A, Load(pending_patches=0, draining=True), world.now)
    world.submit("1", "2")
    assert world.sent() == [("1", B), ("2", B)]


def test_draining_of_all_until_the_deadline() -> None:
    world = World(A)
    world.submit("1", deadline=5.0)
    world.sent()
    world.answer(A, "1", Status.DRAINING)
    assert isinstance(world.failure(after=5.0), errors.Draining)


def test_hello_comes_before_work_and_is_said_again() -> None:
    world = World(A, serving=False)
    world.submit("1")
    assert world.decide() == []
    world.router.connected(A, world.now)
    assert world.decide() == [Greet(A)]
    assert world.router.wake_at(world.now) == 1.0
    assert world.decide(after=1.0) == [Greet(A)]
    world.router.welcomed(A, welcome(), world.now)
    assert world.sent() == [("1", A)]


class TestSilence:
    def start(self, size: int = 1000) -> World:
        world = World(A, B)
        world.router.loaded(B, Load(pending_patches=2000), world.now)
        world.submit("1", size=size)
        assert world.sent() == [("1", A)]
        return world

    def test_a_silent_encoders_items_go_elsewhere(self) -> None:
        world = self.start()
        assert world.sent(after=SILENCE_SECONDS - 1) == []
        assert world.router.wake_at(world.now) <= SILENCE_SECONDS + 0.01
        assert world.sent(after=1.01) == [("1", B)]
        world.submit("2")
        assert world.sent() == [("2", B)]

    def test_reports_are_signs_of_life(self) -> None:
        world = self.start()
        for _ in range(30):
            world.router.loaded(A, Load(pending_patches=1024), world.now)
            assert world.sent(after=SILENCE_SECONDS / 2) == []

    def test_media_on_the_way_are_an_excuse(self) -> None:
        size = 20 * SLOWEST_BYTES_PER_SECOND
        world = World(A, B, serving=False)
        for address in (A, B):
            world.serve(address, max_item_bytes=size)
        world.submit("1", size=size)
        world.sent()
        assert world.sent(after=SILENCE_SECONDS + 19) == []
        assert len(world.sent(after=2)) == 1

    def test_the_only_encoder_is_waited_for(self) -> None:
        world = World(A)
        world.submit("1", deadline=60.0)
        world.sent()
        assert world.sent(after=SILENCE_SECONDS + 1) == []
        assert world.router.wake_at(world.now) > world.now
        assert world.answer(A, "1")

    def test_its_late_answer_is_as_good_as_any(self) -> None:
        world = self.start()
        world.sent(after=SILENCE_SECONDS + 1)
        assert world.answer(A, "1")
        assert world.decide() == [Abandon(B, "1")]
        assert not world.answer(B, "1")

    def test_its_late_refusal_means_nothing(self) -> None:
        world = self.start()
        world.sent(after=SILENCE_SECONDS + 1)
        assert not world.answer(A, "1", Status.EXPIRED)
        assert world.answer(B, "1")

    def test_it_is_told_when_the_item_is_done(self) -> None:
        world = self.start()
        world.sent(after=SILENCE_SECONDS + 1)
        assert world.answer(B, "1")
        assert Abandon(A, "1") in world.decide()


@pytest.mark.parametrize(
    ("limits", "modality", "size", "error", "text"),
    [
        ({"max_item_bytes": 999}, "image", 1000, errors.TooLarge, r"1000 bytes.*is 999 \(spec.media.maxBytes\)"),
        (
            {"modalities": ["image", "video"]},
            "audio",
            10,
            errors.Incompatible,
            "does not encode audio, only image, video",
        ),
        ({"version": 7}, "image", 10, errors.Incompatible, "version 7, this client version 1"),
    ],
)
def test_what_no_encoder_takes_fails_before_it_is_sent(
    limits: dict[str, object], modality: Modality, size: int, error: type[errors.EncodeError], text: str
) -> None:
    world = World(A, B, serving=False)
    for address in (A, B):
        world.serve(address, **limits)
    world.submit("1", modality=modality, size=size)
    failed = world.failure()
    assert type(failed) is error
    assert failed.attempts == 0
    with pytest.raises(error, match=text):
        raise failed


def test_items_go_where_their_modality_is_served() -> None:
    world = World(A, B, serving=False)
    world.serve(A, modalities=["image"])
    world.serve(B, modalities=["audio"])
    world.submit("i1", "i2")
    world.submit("a1", modality="audio")
    assert dict(world.sent()) == {"i1": A, "i2": A, "a1": B}


def test_an_encoder_that_is_down_may_be_the_one() -> None:
    world = World(A, B, serving=False)
    world.serve(A, modalities=["image"])
    world.submit("1", modality="audio")
    assert [each for each in world.decide() if isinstance(each, Fail)] == []
    world.serve(B, modalities=["audio"])
    assert world.sent() == [("1", B)]


def test_the_deadline_passes_at_an_encoder() -> None:
    world = World(A)
    world.submit("1", deadline=5.0)
    world.sent()
    actions = world.decide(after=5.0)
    assert actions[-1] == Abandon(A, "1") or actions[0] == Abandon(A, "1")
    (failed,) = [each.error for each in actions if isinstance(each, Fail)]
    assert isinstance(failed, errors.Expired)
    assert A in str(failed)


def test_nobody_there_until_the_deadline_names_all() -> None:
    world = World(A, B, serving=False)
    world.router.lost(A, "is it running?", world.now)
    world.router.connected(B, world.now)
    world.submit("1", deadline=5.0)
    failed = world.failure(after=5.0)
    assert isinstance(failed, errors.Unreachable)
    assert f"{A}: is it running?" in str(failed)
    assert f"{B}: connected, but no Welcome" in str(failed)


def test_garbage_is_not_waited_for() -> None:
    world = World(A, B)
    world.router.loaded(B, Load(pending_patches=2000), world.now)
    world.submit("1")
    assert world.sent() == [("1", A)]
    world.router.garbled(A, "not the protocol", world.now)
    assert world.sent() == [("1", B)]


def test_cancelled_items_are_told_to_their_encoder_and_leave_the_queue() -> None:
    world = World(A, serving=False)
    world.serve(A, max_pending_patches=1)
    world.submit("1", "2")
    assert world.sent() == [("1", A)]
    world.router.cancel("1")
    world.router.cancel("2")
    world.router.cancel("2")
    assert world.decide() == [Abandon(A, "1")]
    assert not world.router.jobs


def test_nothing_to_do_means_no_waking() -> None:
    world = World(A)
    world.submit("1")
    world.sent()
    assert world.answer(A, "1")
    world.decide()
    assert world.router.wake_at(world.now) == float("inf")


TEN = tuple(f"tcp://e{number}:1" for number in range(10))


class TestOneThatFailsAtEverything:
    """A lost device answers INTERNAL at once and for ever: it looks idle, and must not draw the work."""

    @pytest.mark.parametrize("sick", [1, 3, 7, 9])
    def test_nobodys_item_fails_while_others_are_well(self, sick: int) -> None:
        world = World(*TEN)
        world.submit(*map(str, range(2000)), deadline=1e6)
        done = attempts = 0
        while world.router.jobs:
            for action in world.decide(after=0.01):
                assert not isinstance(action, Fail)
                if isinstance(action, Send):
                    attempts += 1
                    if action.address in TEN[:sick]:
                        world.answer(action.address, action.id, Status.INTERNAL)
                    else:
                        done += world.answer(action.address, action.id)
        assert done == 2000
        assert attempts < 2000 * 1.2 + 2000 * sick / 10  # what was under way at first, and a try now and then

    def test_it_is_asked_less_and_less_often(self) -> None:
        world = World(A, B)
        asked = []
        for number in range(6000):
            world.submit(str(number), deadline=1e6)
            for item, address in world.sent(after=0.01):
                if address == A:
                    asked.append(world.now)
                world.answer(address, item, Status.INTERNAL if address == A else Status.OK)
            for item, address in world.sent():
                assert address == B
                world.answer(address, item)
        pauses = [round(later - earlier, 6) for earlier, later in itertools.pairwise(asked)]
        assert pauses == sorted(pauses)
        assert BACKOFF_MAX_SECONDS <= pauses[-1] < BACKOFF_MAX_SECONDS + 0.1
        assert len(asked) < 15

    def test_one_success_makes_up_for_all(self) -> None:
        world = World(A, B)
        self.fail_at_a(world)
        world.submit(*"123")
        assert {address for _, address in world.sent()} == {B}
        world.submit("4")
        assert world.sent(after=BACKOFF_SECONDS) == [("4", A)]  # one, to see
        world.submit("5")
        assert world.sent() == [("5", B)]
        world.answer(A, "4")
        world.submit(*"67")
        assert [address for _, address in world.sent()] == [A, A]

    def test_an_answer_from_its_cache_proves_little(self) -> None:
        world = World(A, B)
        self.fail_at_a(world)
        world.now += BACKOFF_SECONDS
        for number in range(REDEEMING_HITS):
            world.submit(f"a{number}", f"b{number}", f"c{number}")
            placed = world.sent()
            assert [address for _, address in placed].count(A) == 1
            for item, address in placed:
                world.answer(address, item, cached=True)
        world.submit(*"1234")
        assert [address for _, address in world.sent()].count(A) == 2

    def test_failures_of_what_was_under_way_count_once(self) -> None:
        world = World(A)
        world.submit(*map(str, range(30)))
        world.sent()
        for number in range(30):
            world.answer(A, str(number), Status.INTERNAL)
        assert world.router.endpoints[A].streak == 1

    def test_a_new_connection_is_tried_but_not_trusted(self) -> None:
        world = World(A, B)
        self.fail_at_a(world)
        world.router.lost(A, "gone", world.now)
        world.serve(A)
        world.submit(*"123")
        assert [address for _, address in world.sent()].count(A) == 1

    def test_where_all_fail_the_callers_are_told_soon(self) -> None:
        world = World(A, B)
        world.submit(*map(str, range(100)), deadline=1e6)
        told = []
        for _ in range(5):
            for action in world.decide():
                if isinstance(action, Send):
                    world.answer(action.address, action.id, Status.INTERNAL)
                elif isinstance(action, Fail):
                    told.append(action.error)
        assert [type(each) for each in told] == [errors.Internal] * 100

    @staticmethod
    def fail_at_a(world: World) -> None:
        world.router.loaded(B, Load(pending_patches=10_000), world.now)
        world.submit("sick")
        assert world.sent() == [("sick", A)]
        world.answer(A, "sick", Status.INTERNAL)
        assert world.sent() == [("sick", B)]
        world.answer(B, "sick", pending_patches=10_000)


class TestPoison:
    """An item that kills its encoder, among others that were there with it."""

    def settle(self, world: World, poison: str) -> tuple[set[str], list[errors.EncodeError]]:
        """Encoders die of `poison`, come back at once, and answer the rest one by one; who is done, who failed."""
        done: set[str] = set()
        failed: list[errors.EncodeError] = []
        held: list[tuple[str, str]] = []
        while world.router.jobs:
            for action in world.decide(after=0.01):
                if isinstance(action, Send):
                    held.append((action.id, action.address))
                elif isinstance(action, Fail):
                    failed.append(action.error)
            killed = next((address for item, address in held if item == poison), None)
            if killed is not None:
                held = [each for each in held if each[1] != killed]
                world.router.lost(killed, "gone", world.now)
                world.serve(killed)
            elif held:
                item, address = held.pop(0)
                assert world.answer(address, item)
                done.add(item)
        return done, failed

    @pytest.mark.parametrize("encoders", [(A,), (A, B), (A, B, C)])
    def test_it_ends_alone(self, encoders: tuple[str, ...]) -> None:
        world = World(*encoders)
        innocent = {str(number) for number in range(60)}
        world.submit(*sorted(innocent)[:30], "poison", *sorted(innocent)[30:], deadline=1e6)
        done, failed = self.settle(world, "poison")
        assert done == innocent
        assert [type(each) for each in failed] == [errors.Lost]
        assert failed[0].attempts == MAX_LOSSES

    def test_others_wait_until_it_is_answered(self) -> None:
        world = World(A)
        world.submit("1", "2")
        for _ in range(2):
            world.sent()
            world.router.lost(A, "gone", world.now)
            world.serve(A)
        world.submit("3")
        assert world.sent() == [("1", A)]
        assert world.sent() == []
        world.answer(A, "1")
        assert world.sent() == [("2", A)]
        world.answer(A, "2")
        assert world.sent() == [("3", A)]

    def test_an_encoder_with_other_items_is_emptied_for_it(self) -> None:
        world = World(A, B)
        world.router.loaded(B, Load(pending_patches=50_000), world.now)
        world.submit("1")
        assert world.sent() == [("1", A)]
        world.router.garbled(A, "noise", world.now)
        assert world.sent() == [("1", B)]
        world.submit("2")
        assert world.sent() == [("2", B)]
        world.answer(B, "1", Status.CANCELLED)
        world.submit("3")
        assert world.sent() == []
        world.answer(B, "2")
        assert world.sent() == [("1", B)]
        world.answer(B, "1")
        assert world.sent() == [("3", B)]

    def test_half_of_the_encoders_stay_for_the_others(self) -> None:
        world = World(A, B)
        world.submit(*map(str, range(10)))
        for _ in range(2):
            world.sent()
            for address in (A, B):
                world.router.lost(address, "gone", world.now)
                world.serve(address)
        world.submit("new1", "new2")
        placed = world.sent()
        assert len(placed) == 3
        suspect = next(address for item, address in placed if not item.startswith("new"))
        assert {address for item, address in placed if item.startswith("new")} == {A, B} - {suspect}


class TestTheFirstMoment:
    def test_the_first_that_answers_does_not_get_all(self) -> None:
        world = World(A, B, serving=False)
        world.submit(*"1234567")
        world.serve(A)
        assert len(world.sent()) == 4
        assert world.router.wake_at(world.now) == SETTLE_SECONDS
        world.serve(B)
        assert [address for _, address in world.sent(after=0.01)] == [B, B, B]

    def test_after_it_the_others_are_not_waited_for(self) -> None:
        world = World(A, B, serving=False)
        world.submit(*"1234567")
        world.serve(A)
        assert len(world.sent()) == 4
        assert len(world.sent(after=SETTLE_SECONDS)) == 3

    def test_it_does_not_come_again(self) -> None:
        world = World(A, B)
        world.router.lost(B, "gone", world.now)
        world.submit(*"1234567")
        assert len(world.sent()) == 7


def test_many_that_wait_cost_nothing_while_another_modality_is_served() -> None:
    """Counted in looks at what encoders take, not in time."""
    world = World(A, B, serving=False)
    world.serve(A, modalities=["image"], max_pending_patches=1)
    world.serve(B, modalities=["audio"])
    world.submit(*map(str, range(5000)))
    world.decide()
    looks = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal looks
        looks += event == "call"

    world.router.loaded(A, Load(pending_patches=1), world.now)
    sys.setprofile(count)
    try:
        world.decide()
    finally:
        sys.setprofile(None)
    assert 0 < looks < 200


class TestItemsThatAreNotMeasuredYet:
    def test_they_wait_for_it(self) -> None:
        world = World(A)
        world.router.submit(Job("1", "image", 0, 5.0), measured=False)
        assert world.sent() == []
        world.router.measured("1", 1000)
        assert world.sent() == [("1", A)]
        assert world.router.endpoints[A].bytes == 1000

    def test_but_not_longer_than_the_deadline(self) -> None:
        world = World(A)
        world.router.submit(Job("1", "image", 0, 5.0), measured=False)
        assert world.decide() == []
        assert world.router.wake_at(world.now) == 5.0
        failed = world.failure(after=5.0)
        assert isinstance(failed, errors.Expired)
        assert "does its disk" in str(failed)
        world.router.measured("1", 1000)
        assert world.decide() == []


def test_who_is_met_later_gets_its_share() -> None:
    world = World(A)
    world.router.meet([A, B], world.now)
    world.serve(B)
    world.submit(*"1234")
    assert sorted(address for _, address in world.sent()) == [A, A, B, B]


def test_who_leaves_ends_what_it_has_and_gets_nothing_new() -> None:
    world = World(A, B)
    world.submit(*"12")
    (held,) = [item for item, address in world.sent() if address == A]
    world.router.meet([B], world.now)
    world.submit(*"3456")
    assert {address for _, address in world.sent()} == {B}
    assert world.answer(A, held)
    assert list(world.decide()) == [Part(A)]
    assert list(world.router.endpoints) == [B]


def test_who_leaves_while_it_is_away_is_gone_and_its_items_go_elsewhere() -> None:
    world = World(A)
    world.submit("1")
    assert world.sent() == [("1", A)]
    world.router.meet([B], world.now)
    world.router.lost(A, "gone", world.now)
    assert Part(A) in world.decide()
    world.serve(B)
    assert world.sent() == [("1", B)]


def test_who_comes_back_in_time_has_never_left() -> None:
    world = World(A)
    world.submit("1")
    world.sent()
    world.router.meet([B], world.now)
    world.router.meet([A], world.now)
    world.submit("2")
    assert world.sent() == [("2", A)]


def test_a_name_without_an_address_is_waited_for_and_then_forgotten() -> None:
    world = World("tcp://name:1", serving=False)
    world.router.lost("tcp://name:1", "unknown", world.now)
    world.submit("1")
    assert world.sent(60.0) == []
    world.router.meet([A, B], world.now)
    assert Part("tcp://name:1") in world.decide()
    world.serve(B)
    assert world.sent() == [("1", B)]


def test_an_item_that_only_the_leaving_took_fails_with_the_reason() -> None:
    world = World(A)
    world.router.meet([A, B], world.now)
    world.serve(B, modalities=["audio"])
    world.router.meet([B], world.now)
    world.decide()
    world.submit("1")
    assert isinstance(world.failure(), errors.Incompatible)


def test_what_only_the_leaving_took_is_too_large() -> None:
    world = World(A)
    world.submit("held")
    world.sent()
    world.router.meet([B], world.now)
    world.submit("large", "small", size=500)
    world.router.measured("small", 50)
    assert world.sent() == []
    world.serve(B, max_item_bytes=100)
    failed = world.failure()
    assert isinstance(failed, errors.TooLarge)
    assert failed.endpoint == B


def test_who_comes_back_takes_again_what_it_took() -> None:
    world = World(A, B, serving=False)
    world.serve(A)
    world.serve(B, max_item_bytes=100)
    world.submit("1")
    assert world.sent() == [("1", A)]
    world.router.meet([B], world.now)
    world.decide()
    world.router.meet([A, B], world.now)
    world.submit("2")
    assert world.sent() == [("2", A)]


def test_the_leaving_do_not_count_when_the_reason_is_told() -> None:
    world = World(A)
    world.submit("held", deadline=200.0)
    world.sent()
    world.router.meet([B], world.now)
    world.router.lost(B, "is it running?", world.now)
    world.submit("1")
    failed = world.failure(after=100.0)
    assert isinstance(failed, errors.Unreachable)
    assert str(failed) == f"no encoder answers at {B}: is it running?"


def test_the_leaving_have_no_share_of_what_comes_first() -> None:
    world = World(A, B, serving=False)
    world.serve(A)
    world.submit("held")
    world.sent()
    world.router.meet([B, C], world.now)
    world.serve(B)
    world.submit(*"12345")
    assert len(world.sent()) == 3


def test_without_any_encoder_items_wait() -> None:
    world = World(A)
    world.router.meet([], world.now)
    world.submit("1", deadline=50.0)
    assert world.sent() == []
    assert list(world.router.endpoints) == []
    assert isinstance(world.failure(after=50.0), errors.Unreachable)
