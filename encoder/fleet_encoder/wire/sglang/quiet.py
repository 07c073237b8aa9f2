"""How long a draining encoder waits for a request that does not come, until it takes it that nobody sends any. Pure.

SGLang's client asks no other encoder where one refuses: the request fails. So one that may still be in somebody's list
stays while requests come at their usual pace.
"""

from collections.abc import Sequence

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
