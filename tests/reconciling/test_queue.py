import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fleet_operator.reconcile.queue import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, Queue


class Timer:
    """A timer that a test fires."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.fire = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Timers that were set, none of which fires by itself."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.timers: list[Timer] = []

    def call_later(self, delay: float, call: Callable[..., None], *arguments: Any) -> Timer:
        self.delays.append(delay)
        self.timers.append(Timer(lambda: call(*arguments)))
        return self.timers[-1]

    @property
    def waiting(self) -> list[Timer]:
        """Timers that were not cancelled."""
        return [timer for timer in self.timers if not timer.cancelled]


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", clock.call_later)
    return clock


async def settle() -> None:
    """Let all run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Visits:
    """Visits that are under way until a test lets them end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.under_way: dict[str, asyncio.Future[float | None]] = {}

    async def __call__(self, key: str) -> float | None:
        assert key not in self.under_way
        self.begun.append(key)
        self.under_way[key] = asyncio.Future()
        try:
            return await self.under_way[key]
        finally:
            del self.under_way[key]

    async def end(self, key: str, answer: float | Exception | None = None) -> None:
        if isinstance(answer, Exception):
            self.under_way[key].set_exception(answer)
        else:
            self.under_way[key].set_result(answer)
        await settle()


def quick(answers: list[float | Exception | None]) -> tuple[list[str], Callable[[str], Awaitable[float | None]]]:
    """Visits that end at once; which there were."""
    visited: list[str] = []

    async def visit(key: str) -> float | None:
        visited.append(key)
        answer = answers.pop(0) if answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    return visited, visit


async def test_a_key_that_is_added_is_visited() -> None:
    visited, visit = quick([])
    pools = Queue(visit, workers=2)
    pools.add("a")
    assert len(pools) == 1
    await settle()
    assert visited == ["a"]
    assert len(pools) == 0


async def test_any_number_of_causes_before_a_visit_is_one_visit() -> None:
    visited, visit = quick([])
    pools = Queue(visit, workers=2)
    for _ in range(100):
        pools.add("a")
    await settle()
    assert visited == ["a"]


async def test_a_key_is_visited_once_more_for_all_that_happened_during_a_visit() -> None:
    visits = Visits()
    pools = Queue(visits, workers=4)
    pools.add("a")
    await settle()
    for _ in range(3):
        pools.add("a")
    await settle()
    assert visits.begun == ["a"]
    await visits.end("a")
    assert visits.begun == ["a", "a"]
    await visits.end("a")
    assert visits.begun == ["a", "a"]
    await pools.close()


async def test_keys_are_visited_side_by_side_as_far_as_there_are_workers() -> None:
    visits = Visits()
    pools = Queue(visits, workers=2)
    for key in "abc":
        pools.add(key)
    await settle()
    assert visits.begun == ["a", "b"]
    assert len(pools) == 1
    await visits.end("a")
    assert visits.begun == ["a", "b", "c"]
    for key in "bc":
        await visits.end(key)
    await pools.close()


async def test_a_visit_that_fails_is_repeated_later_each_time(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    visited, visit = quick([OSError("no answer")] * 12)
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    for _ in range(11):
        clock.timers[-1].fire()
        await settle()
    assert len(visited) == 12
    assert clock.delays == [min(FIRST_RETRY_SECONDS * 2**n, LAST_RETRY_SECONDS) for n in range(12)]
    assert clock.delays[-1] == LAST_RETRY_SECONDS
    assert "no answer" in caplog.text


async def test_a_visit_may_fail_for_days(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    visited, visit = quick([OSError("no answer")] * 1100)
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    for _ in range(1099):
        clock.timers[-1].fire()
        await settle()
    assert len(visited) == len(clock.delays) == 1100
    assert clock.delays[-1] == LAST_RETRY_SECONDS


async def test_a_visit_that_succeeds_makes_the_next_failure_the_first(clock: Clock) -> None:
    _, visit = quick([OSError(), OSError(), None, OSError()])
    pools = Queue(visit, workers=1)
    for _ in range(4):
        pools.add("a")
        await settle()
    assert clock.delays == [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS, FIRST_RETRY_SECONDS]


async def test_a_failure_of_one_key_keeps_no_other_from_being_visited(clock: Clock) -> None:
    visited, visit = quick([OSError(), None])
    pools = Queue(visit, workers=1)
    pools.add("a")
    pools.add("b")
    await settle()
    assert visited == ["a", "b"]
    assert len(clock.waiting) == 1


async def test_a_visit_says_when_to_look_again(clock: Clock) -> None:
    visited, visit = quick([12.5, None])
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    assert clock.delays == [12.5]
    clock.timers[0].fire()
    await settle()
    assert visited == ["a", "a"]
    assert clock.delays == [12.5]


async def test_a_cause_comes_before_the_timer(clock: Clock) -> None:
    visited, visit = quick([12.5, None])
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    pools.add("a")
    await settle()
    assert visited == ["a", "a"]
    assert clock.waiting == []


async def test_a_visit_that_is_due_already_sets_no_timer(clock: Clock) -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    pools.add("a")
    await settle()
    pools.add("a")
    await visits.end("a", 5.0)
    assert clock.delays == []
    await visits.end("a", 7.0)
    assert clock.delays == [7.0]
    await pools.close()


async def test_no_timer_calls_for_a_key_that_is_forgotten(clock: Clock) -> None:
    _, visit = quick([OSError(), OSError()])
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    pools.forget("a")
    assert clock.waiting == []
    # Another one of the same name starts anew.
    pools.add("a")
    await settle()
    assert clock.delays == [FIRST_RETRY_SECONDS] * 2


@pytest.mark.parametrize("answer", [60.0, OSError()])
async def test_a_visit_under_way_sets_no_timer_for_a_key_that_is_forgotten(
    clock: Clock, answer: float | Exception
) -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    pools.add("a")
    await settle()
    pools.forget("a")
    await visits.end("a", answer)
    assert clock.waiting == []
    pools.add("a")
    await settle()
    await visits.end("a", OSError())
    assert clock.delays == [FIRST_RETRY_SECONDS]
    await pools.close()


async def test_a_key_that_comes_back_during_a_visit_is_visited_again(clock: Clock) -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    pools.add("a")
    await settle()
    pools.forget("a")
    pools.add("a")
    await visits.end("a")
    assert visits.begun == ["a", "a"]
    await visits.end("a", 9.0)
    assert clock.delays == [9.0]
    await pools.close()


async def test_a_key_that_is_forgotten_while_it_waits_for_a_worker_is_not_visited() -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    for key in "ab":
        pools.add(key)
    await settle()
    pools.forget("b")
    await visits.end("a")
    assert visits.begun == ["a"]
    pools.add("b")
    await settle()
    assert visits.begun == ["a", "b"]
    await visits.end("b")
    await pools.close()


async def test_forgetting_what_is_not_known_is_no_mistake() -> None:
    Queue(quick([])[1], workers=1).forget("a")


async def test_closing_waits_for_visits_under_way(clock: Clock) -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    pools.add("a")
    await settle()
    pools.add("a")
    closing = asyncio.create_task(pools.close())
    await settle()
    assert not closing.done()
    await visits.end("a", 5.0)
    await closing
    assert visits.begun == ["a"]
    assert clock.timers == []


async def test_closing_starts_no_visit_that_waited_for_a_worker() -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    for key in "abc":
        pools.add(key)
    await settle()
    closing = asyncio.create_task(pools.close())
    await settle()
    await visits.end("a")
    await closing
    assert visits.begun == ["a"]


async def test_closing_cancels_timers_and_takes_nothing_more(clock: Clock) -> None:
    visited, visit = quick([5.0])
    pools = Queue(visit, workers=1)
    pools.add("a")
    await settle()
    await pools.close()
    assert clock.waiting == []
    pools.add("a")
    await settle()
    assert visited == ["a"]


async def test_closing_is_not_kept_by_a_visit_that_fails(clock: Clock) -> None:
    visits = Visits()
    pools = Queue(visits, workers=1)
    pools.add("a")
    await settle()
    closing = asyncio.create_task(pools.close())
    await visits.end("a", RuntimeError("lost"))
    await closing
    assert clock.timers == []


async def test_a_key_rests_between_two_visits_and_no_other_does(clock: Clock) -> None:
    visited, visit = quick([])
    pools = Queue(visit, workers=1, rest=0.2)
    pools.add("a")
    await settle()
    assert clock.delays == [0.2]
    for _ in range(3):
        pools.add("a")
    pools.add("b")
    await settle()
    assert visited == ["a", "b"]
    clock.timers[0].fire()
    await settle()
    assert visited == ["a", "b", "a"]
    await pools.close()


async def test_closing_does_not_wait_for_a_rest(clock: Clock) -> None:
    visited, visit = quick([])
    pools = Queue(visit, workers=1, rest=3600.0)
    pools.add("a")
    await settle()
    pools.add("a")
    await pools.close()
    assert visited == ["a"]


@pytest.mark.parametrize("error", [OSError("no answer"), ValueError("a slip")])
async def test_what_is_no_defect_of_the_program_is_logged_in_a_line(
    clock: Clock, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    pools = Queue(quick([error])[1], workers=1, ordinary=(OSError,))
    pools.add("a")
    await settle()
    (record,) = caplog.records
    assert str(error) in record.getMessage()
    assert bool(record.exc_info) is isinstance(error, ValueError)
    assert len(clock.delays) == 1
