"""Looks at files and reads them, on threads of its own.

A disk that does not answer stops neither loop nor `close`, nor the end of the program; nor does the end of the main
thread, after which an executor takes no more work, stop other threads that still encode.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fleet_client import errors, media
from fleet_client.threads import on_a_thread

_T = TypeVar("_T")

READERS = 16
"""Threads, at most: of those whose disk hangs no further one is started."""

MEASURED_TOGETHER = 64
"""Files whose sizes one thread looks up."""


class Disk:
    """Belongs to one event loop, in which it calls back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._readers = asyncio.Semaphore(READERS)
        self._tasks: set[asyncio.Task[None]] = set()

    def measure(
        self, items: Sequence[tuple[str, media.Media]], tell: Callable[[str, int | errors.Invalid], None]
    ) -> None:
        """Tell the size of each item by its id, or why its file cannot be read."""
        for start in range(0, len(items), MEASURED_TOGETHER):
            self._start(self._measure(items[start : start + MEASURED_TOGETHER], tell))

    def read(self, path: Path, tell: Callable[[bytes | errors.Invalid], None]) -> None:
        """Tell a file's content, or why it cannot be read."""
        self._start(self._read(path, tell))

    def close(self) -> list[asyncio.Task[None]]:
        """Call back no more; a thread ends when its disk answers. Returns tasks for the caller to await."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        return tasks

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _measure(
        self, items: Sequence[tuple[str, media.Media]], tell: Callable[[str, int | errors.Invalid], None]
    ) -> None:
        try:
            sizes: list[int | errors.Invalid] = await self._done(lambda: [size(item) for _, item in items])
        except Exception as error:
            sizes = [_unread(item.source, error) for _, item in items]
        for (name, _), found in zip(items, sizes, strict=True):
            tell(name, found)

    async def _read(self, path: Path, tell: Callable[[bytes | errors.Invalid], None]) -> None:
        try:
            content: bytes | errors.Invalid = await self._done(lambda: media.read(path))
        except errors.Invalid as error:
            content = error
        except Exception as error:
            content = _unread(path, error)
        tell(content)

    async def _done(self, call: Callable[[], _T]) -> _T:
        async with self._readers:
            return await on_a_thread("fleet_client-read", call)


def _unread(source: object, error: Exception) -> errors.Invalid:
    """This machine is short of memory or threads; whoever waits for the item has to hear of it all the same."""
    return errors.Invalid(f"cannot read {source}: {error!r}")


def size(item: media.Media) -> int | errors.Invalid:
    """Bytes that will be sent, or why there are none."""
    try:
        return media.size(item)
    except errors.Invalid as error:
        return error
