"""How long a draining encoder waits for a request that does not come, until it takes it that nobody sends any. Pure.

SGLang's client asks no other encoder where one refuses: the request fails. So one that may still be in somebody's list
stays until whoever polls its health has been told often enough to take it off, and while requests come at their usual
pace.
"""

from collections.abc import Mapping, Sequence

SHORTEST_SECONDS = 1.5
"""Off all lists: each language server takes its list once a request, just before it sends."""

WINDOW_SECONDS = 60.0
"""Of requests that tell the pace."""

PAUSES = 5.0
"""Usual pauses without a request: of those that come by chance, one pause in 150 is longer."""


def quiet_seconds(arrivals: Sequence[float], now: float, *, unlisted: bool) -> float:
    """Seconds without a request after which there will be none.

    Args:
        arrivals: When requests came, ascending.
        now: When the drain began, by the same clock.
        unlisted: All who were told of this encoder have taken it off their lists.
    """
    recent = [each for each in arrivals if now - each < WINDOW_SECONDS]
    if unlisted or not recent:
        return SHORTEST_SECONDS
    usual = (now - recent[0]) / len(recent)
    return max(SHORTEST_SECONDS, PAUSES * usual)


FAILURES = 3
"""In a row, after which SGLang's language server takes an encoder off its list."""

POLL_SECONDS = 10.0
"""Between two polls of one language server, by SGLang's default."""

PROBE_SECONDS = 2.0
"""A language server polls all its encoders side by side, waits so long for the last one, and takes off none before."""

REGULAR = 1.25
"""Longest pause between polls of one who polls, by the shortest."""

MOST_APART = 4
"""Of one address, who poll in turns. Of more, one who polls rarely would be no irregularity."""


def off_lists(polls: Mapping[str, Sequence[float]], began: float, now: float) -> float | None:
    """When the last of those who poll `/health` had taken the encoder off its list; None: one has not yet.

    Args:
        polls: When somebody polled, ascending, by his address.
        began: The drain, since when the answer is 503.
        now: By the same clock.
    """
    ends = [_off_list([each for each in times if each > began - WINDOW_SECONDS], began) for times in polls.values()]
    last = max((end for end in ends if end is not None), default=began)
    return last if last <= now else None


def _off_list(polls: Sequence[float], began: float) -> float | None:
    """When those at one address will have, as far as can be told by now; None where nobody has polled lately."""
    if not polls:
        return None
    number, seconds = _pollers(polls)
    failed = [each for each in polls if each > began]
    if number and len(failed) >= number * FAILURES:
        return failed[number * FAILURES - 1] + PROBE_SECONDS
    # Whoever has missed one does not poll any more; of those who cannot be told apart all have polled often enough.
    gone = polls[-1] + 1.5 * seconds + PROBE_SECONDS
    return gone if number else min(gone, began + FAILURES * (seconds + PROBE_SECONDS))


def _pollers(polls: Sequence[float]) -> tuple[int, float]:
    """How many poll from one address, and the seconds between two polls of each; 0 where they cannot be told apart.

    Language servers of one machine share its address, and then poll in turns.
    """
    longest = POLL_SECONDS
    for number in range(1, min(MOST_APART, len(polls) // 2) + 1):
        pauses = [later - sooner for sooner, later in zip(polls, polls[number:], strict=False)]
        if len(pauses) > 1 and max(pauses) <= REGULAR * min(pauses):
            return number, max(pauses)
        longest = max(longest, *pauses)
    return 0, longest
