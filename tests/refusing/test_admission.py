"""Admission counts patches and bytes; beyond its limits it says BUSY and when to retry."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_encoder.admission import ESTIMATED_PATCHES, Admission, retry_hint
from fleet_encoder.errors import Busy


def test_one_item_alone_is_always_admitted() -> None:
    admission = Admission(max_patches=1, max_bytes=1)
    ticket = admission.admit("video", 10_000, 0.0)
    assert admission.items == 1
    with pytest.raises(Busy, match="spec.admission"):
        admission.admit("image", 1, 0.0)
    admission.release(ticket)
    admission.leave()
    assert (admission.patches, admission.bytes, admission.items) == (0, 0, 0)


@pytest.mark.parametrize(
    ("max_patches", "max_bytes", "sizes", "admitted"),
    [
        (4 * ESTIMATED_PATCHES["image"], 1000, [1] * 10, 4),
        (10**9, 1000, [400] * 10, 2),
        (10**9, 1000, [1000, 1], 1),
        (10**9, 10**9, [10] * 50, 50),
    ],
)
def test_items_are_admitted_up_to_both_limits(
    max_patches: int, max_bytes: int, sizes: list[int], admitted: int
) -> None:
    admission = Admission(max_patches, max_bytes)
    count = 0
    for size in sizes:
        try:
            admission.admit("image", size, 1000.0)
        except Busy:
            break
        count += 1
    assert count == admitted


def test_a_corrected_ticket_makes_room_or_takes_it() -> None:
    admission = Admission(max_patches=3000, max_bytes=10**9)
    ticket = admission.admit("image", 0, 0.0)
    admission.correct(ticket, patches=2900, size=500)
    assert (admission.patches, admission.bytes) == (2900, 500)
    with pytest.raises(Busy):
        admission.admit("image", 0, 0.0)
    admission.correct(ticket, patches=100)
    admission.admit("image", 0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))))
def test_what_is_released_is_what_was_taken(items: list[tuple[int, int, int]]) -> None:
    admission = Admission(10**12, 10**12)
    tickets = []
    for size, patches, corrected in items:
        ticket = admission.admit("audio", size, 0.0)
        admission.correct(ticket, patches=patches, size=corrected)
        tickets.append(ticket)
    assert admission.patches == sum(patches for _, patches, _ in items)
    for ticket in tickets:
        admission.release(ticket)
        admission.leave()
    assert (admission.patches, admission.bytes, admission.items) == (0, 0, 0)


@pytest.mark.parametrize(
    ("excess", "rate", "seconds"), [(1000, 0.0, 1.0), (1000, 1000.0, 1.0), (1, 1e9, 0.05), (10**9, 1.0, 10.0)]
)
def test_the_hint_follows_the_rate_within_bounds(excess: int, rate: float, seconds: float) -> None:
    assert retry_hint(excess, rate) == seconds


def test_who_is_refused_for_bytes_waits_for_bytes_and_does_not_send_them_again_at_once() -> None:
    admission = Admission(max_patches=10**6, max_bytes=1000)
    admission.correct(admission.admit("image", 900, 0.0), patches=9000)
    with pytest.raises(Busy) as slow:
        admission.admit("image", 600, 1000.0)  # 500 bytes too many, of which each is 10 patches
    assert slow.value.retry_after == pytest.approx(5.0)
    with pytest.raises(Busy) as fast:
        admission.admit("image", 600, 1e9)
    assert fast.value.retry_after == 1.0


async def test_room_is_waited_for_until_less_is_pending_than_the_limits() -> None:
    admission = Admission(max_patches=5000, max_bytes=10**9)
    await admission.room()
    ticket = admission.admit("image", 1, 0.0)
    admission.correct(ticket, patches=5000)
    waiting = [asyncio.ensure_future(admission.room()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert [each.done() for each in waiting] == [True, False, False]
    admission.correct(ticket, patches=4999)
    await asyncio.gather(*waiting[1:])
