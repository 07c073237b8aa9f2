"""The limiter of CPU slots, on a simulated clock: what is held, who is next, what a cancelled caller leaves behind."""

import asyncio
import heapq
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_encoder.slots import Cap, CpuSlots


class Machine:
    """Simulated time: steps of work that hold slots, and end one after the other."""

    def __init__(self, capacity: int) -> None:
        self.now = 0.0
        self.slots = CpuSlots(capacity, clock=lambda: self.now)
        self.cpu_seconds: Counter[str] = Counter()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def keep_busy(self, flow: str, seconds: float, *, workers: int, weight: int = 1) -> None:
        """`workers` callers that always want one more step."""
        self._tasks += [asyncio.create_task(self._work(flow, seconds, weight)) for _ in range(workers)]

    async def _work(self, flow: str, seconds: float, weight: int) -> None:
        while True:
            async with self.slots.hold(flow, weight):
                await self._sleep(seconds)
            self.cpu_seconds[flow] += seconds * min(weight, self.slots.capacity)

    async def _sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, id(woken), woken))
        await woken

    async def pass_time(self, seconds: float) -> None:
        """Let work go on for that long."""
        end = self.now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
            assert self.slots.held <= self.slots.capacity
        self.now = end

    async def _settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    async def stop(self, flow_tasks: slice = slice(None)) -> None:
        """End callers, whatever they are at."""
        for task in self._tasks[flow_tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks[flow_tasks], return_exceptions=True)
        await self._settle()


async def test_one_flow_alone_may_use_every_cpu() -> None:
    machine = Machine(8)
    machine.keep_busy("image", 0.01, workers=20)
    await machine.pass_time(1.0)
    assert machine.cpu_seconds["image"] == pytest.approx(8.0, rel=0.02)
    await machine.stop()


@pytest.mark.parametrize("capacity", [1, 2, 3, 16])
async def test_flows_that_always_want_more_get_equal_cpu_time(capacity: int) -> None:
    machine = Machine(capacity)
    machine.keep_busy("image", 0.01, workers=40)
    machine.keep_busy("video", 0.04, workers=16, weight=1)
    machine.keep_busy("forward", 0.1, workers=2, weight=capacity)
    await machine.pass_time(60.0)
    total = sum(machine.cpu_seconds.values())
    for flow in ("image", "video", "forward"):
        assert machine.cpu_seconds[flow] / total == pytest.approx(1 / 3, abs=0.03)
    await machine.stop()


async def test_long_steps_do_not_take_every_slot_before_the_first_of_them_ends() -> None:
    """Images beside a video on 16 CPUs: some slots are the images' at every moment."""
    machine = Machine(16)
    machine.keep_busy("image", 0.01, workers=40)
    machine.keep_busy("video", 0.04, workers=16)
    await machine.pass_time(5.0)
    before = machine.cpu_seconds["image"]
    for _ in range(50):
        await machine.pass_time(0.02)
        assert machine.cpu_seconds["image"] - before >= 0.04
        before = machine.cpu_seconds["image"]
    await machine.stop()


async def test_idleness_earns_no_credit() -> None:
    machine = Machine(2)
    machine.keep_busy("image", 0.01, workers=4)
    await machine.pass_time(100.0)
    machine.keep_busy("video", 0.04, workers=4)
    served = machine.cpu_seconds["image"]
    await machine.pass_time(2.0)
    assert machine.cpu_seconds["image"] - served == pytest.approx(2.0, abs=0.2)
    await machine.stop()


async def test_having_been_alone_costs_nothing() -> None:
    """A flow that used the machine while nobody else wanted it is not made to wait for that later."""
    machine = Machine(2)
    machine.keep_busy("image", 0.01, workers=4)
    await machine.pass_time(100.0)
    await machine.stop()
    machine.keep_busy("video", 0.04, workers=4)
    await machine.pass_time(10.0)
    machine.keep_busy("image", 0.01, workers=4)
    before = machine.cpu_seconds["image"]
    await machine.pass_time(2.0)
    assert machine.cpu_seconds["image"] - before == pytest.approx(2.0, abs=0.2)
    await machine.stop()


async def test_wide_work_is_not_overtaken_for_ever() -> None:
    machine = Machine(8)
    machine.keep_busy("image", 0.01, workers=30)
    machine.keep_busy("forward", 0.05, workers=1, weight=8)
    await machine.pass_time(2.0)
    assert machine.cpu_seconds["forward"] > 4.0
    await machine.stop()


async def test_work_wider_than_the_machine_takes_all_of_it() -> None:
    slots = CpuSlots(4)
    taken = await slots.acquire("forward", 64)
    assert taken.weight == 4
    slots.release(taken, 0.1)
    assert slots.held == 0


async def test_a_flow_is_served_in_order() -> None:
    slots, order = CpuSlots(1), []
    taken = await slots.acquire("image", 1)

    async def caller(number: int) -> None:
        async with slots.hold("image"):
            order.append(number)

    callers = [asyncio.create_task(caller(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert slots.waiting == slots.waiting_in("image") == 5
    slots.release(taken, 0.0)
    await asyncio.gather(*callers)
    assert order == [0, 1, 2, 3, 4]
    assert slots.waiting == slots.waiting_in("video") == 0


async def test_a_caller_that_waits_for_a_thread_holds_no_slot() -> None:
    """Two pools share the CPUs; the first has one thread and much to do."""
    slots, cap = CpuSlots(4), Cap(1)
    first = await slots.acquire("image", 1, cap)
    queued = asyncio.create_task(slots.acquire("image", 1, cap))
    await asyncio.sleep(0)
    assert slots.held == 1
    assert (await asyncio.wait_for(slots.acquire("forward", 3), 5)).weight == 3
    slots.release(first, 0.01)
    assert (await asyncio.wait_for(queued, 5)).weight == 1
    assert cap.running == 1


async def test_a_full_pool_does_not_hold_up_the_same_flow_in_another_pool() -> None:
    slots, small, large = CpuSlots(4), Cap(1), Cap(4)
    first = await slots.acquire("video", 1, small)
    behind = asyncio.create_task(slots.acquire("video", 1, small))
    await asyncio.sleep(0)
    assert (await asyncio.wait_for(slots.acquire("video", 1, large), 5)).weight == 1
    assert not behind.done()
    slots.release(first, 0.01)
    assert (await asyncio.wait_for(behind, 5)).weight == 1


async def test_cancelled_while_it_waits_and_granted_to_others_in_the_same_moment() -> None:
    """The waiter is gone before its own coroutine hears of the cancellation."""
    slots = CpuSlots(1)
    first = await slots.acquire("image", 1)
    leaving = asyncio.create_task(slots.acquire("image", 1))
    staying = asyncio.create_task(slots.acquire("image", 1))
    await asyncio.sleep(0)
    leaving.cancel()
    slots.release(first, 0.01)
    assert (await asyncio.wait_for(staying, 5)).weight == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (slots.held, slots.waiting) == (1, 0)


async def test_cancelled_in_the_moment_it_was_granted() -> None:
    slots = CpuSlots(1)
    first = await slots.acquire("image", 1)
    leaving = asyncio.create_task(slots.acquire("video", 1))
    await asyncio.sleep(0)
    slots.release(first, 0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert slots.held == 0
    assert (await asyncio.wait_for(slots.acquire("image", 1), 5)).weight == 1


async def test_a_cancelled_wide_caller_lets_the_narrow_ones_behind_it_in() -> None:
    slots = CpuSlots(2)
    await slots.acquire("image", 1)
    wide = asyncio.create_task(slots.acquire("video", 2))
    narrow = asyncio.create_task(slots.acquire("video", 1))
    await asyncio.sleep(0)
    assert not narrow.done()
    wide.cancel()
    assert (await asyncio.wait_for(narrow, 5)).weight == 1


@pytest.mark.parametrize(
    ("most", "others", "got"),
    [
        (16, [], 16),
        (4, [], 4),
        (16, [(1, False, 99)] * 3, 13),  # three that want one slot each
        (16, [(1, False, 2)] * 30, 14),  # thirty, with two threads between them
        (16, [(1, False, 99)] * 30, 1),
        (16, [(16, False, 99)], 1),
        (16, [(16, True, 99)] * 3, 4),  # shared with three of its own kind
        (16, [(16, True, 99), (4, False, 99)], 6),
    ],
)
async def test_elastic_work_takes_what_nobody_else_waits_for(
    most: int, others: list[tuple[int, bool, int]], got: int
) -> None:
    slots, caps = CpuSlots(16), {limit: Cap(limit) for _, _, limit in others}
    before = await slots.acquire("video", 16)
    first = asyncio.ensure_future(slots.acquire("forward", most, least=1))
    await asyncio.sleep(0)
    rest = [
        asyncio.ensure_future(
            slots.acquire("forward" if elastic else "image", weight, caps[limit], least=1 if elastic else None)
        )
        for weight, elastic, limit in others
    ]
    await asyncio.sleep(0)
    slots.release(before, 0.0)
    assert (await first).weight == got
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def test_elastic_work_starts_on_the_one_slot_that_is_free() -> None:
    slots = CpuSlots(4)
    assert (await slots.acquire("image", 3)).weight == 3
    assert (await slots.acquire("forward", 4, least=1)).weight == 1
    assert slots.held == 4


async def test_elastic_work_waits_for_its_least() -> None:
    slots = CpuSlots(4)
    narrow = [await slots.acquire("image", 1) for _ in range(3)]
    waiting = asyncio.ensure_future(slots.acquire("forward", 4, least=2))
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release(narrow.pop(), 0.01)
    assert (await waiting).weight == 2


async def test_each_step_gives_back_its_own_charge_whatever_the_order_they_end_in() -> None:
    """A wide one that ends before a narrow one must leave the flow where the CPU time that it had puts it."""
    slots = CpuSlots(16)
    teacher = await slots.acquire("forward", 1)
    slots.release(teacher, 5.0)  # from now on a step is charged with a second
    one, many = await slots.acquire("forward", 1), await slots.acquire("forward", 15)
    rival = asyncio.ensure_future(slots.acquire("image", 1))
    await asyncio.sleep(0)
    slots.release(many, 0.1)
    slots.release(one, 0.1)
    flow = slots._flows["forward"]
    assert flow.virtual_time == pytest.approx(5.0 + 1.5 + 0.1)
    slots.release(await rival, 0.0)


def test_no_slots_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CpuSlots(0)


CALLERS = st.lists(
    st.tuples(
        st.sampled_from(["image", "video", "audio", "forward"]),
        st.integers(1, 40),  # weight
        st.integers(0, 5),  # turns of the loop that it holds
        st.integers(0, 12),  # turn at which it is cancelled
        st.booleans(),  # under the cap
        st.booleans(),  # elastic
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(capacity=st.integers(1, 32), threads=st.integers(1, 4), callers=CALLERS)
def test_held_never_exceeds_the_capacity_and_all_is_given_back(
    capacity: int, threads: int, callers: list[tuple[str, int, int, int, bool, bool]]
) -> None:
    async def scenario() -> None:
        slots, cap = CpuSlots(capacity), Cap(threads)
        held = under_cap = 0

        async def caller(flow: str, weight: int, turns: int, capped: bool, elastic: bool) -> None:
            nonlocal held, under_cap
            mine = cap if capped else None
            grant = await slots.acquire(flow, weight, mine, least=1 if elastic else None)
            taken = grant.weight
            held += taken
            under_cap += capped
            assert held <= slots.held <= capacity
            assert under_cap <= cap.running <= threads
            assert (1 if elastic else min(weight, capacity)) <= taken <= min(weight, capacity)
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                held -= taken
                under_cap -= capped
                slots.release(grant, turns / 100)

        tasks = [
            asyncio.create_task(caller(flow, weight, turns, capped, elastic))
            for flow, weight, turns, _, capped, elastic in callers
        ]
        for turn in range(13):
            for task, (*_, cancelled_at, _, _) in zip(tasks, callers, strict=True):
                if cancelled_at == turn and turn < 8:
                    task.cancel()
            await asyncio.sleep(0)
        for result in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10):
            assert result is None or isinstance(result, asyncio.CancelledError)
        assert (slots.held, slots.waiting, cap.running) == (0, 0, 0)

    asyncio.run(scenario())


@settings(max_examples=150, deadline=None)
@given(
    capacity=st.integers(1, 6),
    limits=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    jobs=st.lists(st.tuples(st.sampled_from(["image", "video"]), st.integers(0, 2), st.integers(0, 4)), max_size=30),
)
def test_nobody_waits_while_there_is_a_slot_and_a_thread_and_pools_keep_their_order(
    capacity: int, limits: list[int], jobs: list[tuple[str, int, int]]
) -> None:
    """All of weight 1: whoever waits, waits for the CPUs or for the threads of its own pool."""

    async def scenario() -> None:
        slots, caps = CpuSlots(capacity), [Cap(limit) for limit in limits]
        waiting: list[tuple[str, int, int]] = []  # flow, pool, number

        async def caller(number: int, flow: str, pool: int, turns: int) -> None:
            waiting.append((flow, pool, number))
            grant = await slots.acquire(flow, 1, caps[pool])
            assert number == min(other for *queue, other in waiting if queue == [flow, pool])
            waiting.remove((flow, pool, number))
            for _ in range(turns):
                await asyncio.sleep(0)
            slots.release(grant, turns / 100)

        tasks = [
            asyncio.create_task(caller(number, flow, pool % len(limits), turns))
            for number, (flow, pool, turns) in enumerate(jobs)
        ]
        for _ in range(12):
            await asyncio.sleep(0)
            if slots.held < capacity and slots.waiting:
                granted = len(waiting) - slots.waiting  # not resumed yet
                stuck = sum(caps[pool].full for _, pool, _ in waiting)
                assert stuck + granted >= len(waiting)
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        assert (slots.held, slots.waiting) == (0, 0)

    asyncio.run(scenario())
