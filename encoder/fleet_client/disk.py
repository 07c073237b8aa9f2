"""Looks at files and reads them, on threads of its own: a disk that does not answer stops neither loop nor `close`."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fleet_client import errors, media

READERS = 16
"""Threads, at most."""

MEASURED_TOGETHER = 64
"""Files whose sizes one thread looks up."""


class Disk:
    """Belongs to one event loop, in which it calls back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(READERS, "fleet_client-read")
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
        """Call back no more; threads end when their disk answers. Returns tasks for the caller to await."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        return tasks

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _measure(
        self, items: Sequence[tuple[str, media.Media]], tell: Callable[[str, int | errors.Invalid], None]
    ) -> None:
        sizes = await self._loop.run_in_executor(self._threads, lambda: [size(item) for _, item in items])
        for (name, _), found in zip(items, sizes, strict=True):
            tell(name, found)

    async def _read(self, path: Path, tell: Callable[[bytes | errors.Invalid], None]) -> None:
        try:
            content: bytes | errors.Invalid = await self._loop.run_in_executor(self._threads, media.read, path)
        except errors.Invalid as error:
            content = error
        tell(content)


def size(item: media.Media) -> int | errors.Invalid:
    """Bytes that will be sent, or why there are none."""
    try:
        return media.size(item)
    except errors.Invalid as error:
        return error
