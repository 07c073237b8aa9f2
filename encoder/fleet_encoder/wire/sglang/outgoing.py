"""Embeddings on their way out: encoded, and not taken yet. Bounded in bytes; beyond that the oldest is given up.

Admission does not count them any more, and a language server may stop to take what it has asked for, or never tell
where it wants it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fleet_encoder.errors import ReceiverUnreachable

MAX_BYTES = 1 << 30


@dataclass(slots=True, eq=False)
class _Entry:
    size: int
    task: "asyncio.Task[Any]"
    given_up: bool = False


class Outgoing:
    """All of one encoder. Used on the event loop."""

    def __init__(self) -> None:
        self._entries: dict[_Entry, None] = {}
        self.bytes = 0

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold so many bytes while the block delivers them, in the task of this request alone.

        Raises:
            ReceiverUnreachable: Inside the block, where others need the room and this one has waited longest.
        """
        task = asyncio.current_task()
        assert task is not None
        entry = _Entry(size, task)
        self._entries[entry] = None
        self.bytes += size
        self._give_up_the_oldest()
        try:
            yield
        except asyncio.CancelledError:
            if entry.given_up and task.uncancel() == 0:
                raise ReceiverUnreachable(
                    f"language servers do not take their embeddings: over {MAX_BYTES} bytes wait for them, and this "
                    "one longest: does it still run?"
                ) from None
            raise
        finally:
            del self._entries[entry]
            self.bytes -= size

    def _give_up_the_oldest(self) -> None:
        """One alone may be as large as it is."""
        excess = self.bytes - MAX_BYTES
        for entry in list(self._entries)[:-1]:
            if excess <= 0:
                return
            excess -= entry.size
            if not entry.given_up:
                entry.given_up = True
                entry.task.cancel()
