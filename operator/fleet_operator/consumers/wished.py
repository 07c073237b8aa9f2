"""What language servers shall have, worked out once for all that say the same of themselves. Pure.

Of a pool with hundreds of encoders and hundreds of language servers each look at a list would else go through all pods.
"""

from collections.abc import Callable

from fleet_operator.consumers.compatibility import Facts
from fleet_operator.consumers.wishes import Wishes
from fleet_operator.observed.mirror import Key


class Wished:
    """Remembers, until it is told that something has changed.

    Args:
        make: What a language server shall have of a pool, by what it says of itself.
    """

    def __init__(self, make: Callable[[Key, Facts, str], Wishes]) -> None:
        self._make = make
        self._known: dict[Key, dict[tuple[Facts, str], Wishes]] = {}

    def of(self, key: Key, server: Facts, unsure: str) -> Wishes:
        """What one shall have."""
        known = self._known.setdefault(key, {})
        if (server, unsure) not in known:
            known[server, unsure] = self._make(key, server, unsure)
        return known[server, unsure]

    def forget(self, key: Key) -> None:
        """The pool, its pods or what is known of them have changed."""
        self._known.pop(key, None)

    def forget_all(self) -> None:
        """The same of all pools."""
        self._known.clear()
