"""Calls that may never come back, on threads that hold up nobody: not the event loop, and not the end of the program.

The threads of an executor do hold up the latter: Python waits for them, whatever became of their work.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

T = TypeVar("T")


async def on_a_thread(name: str, call: Callable[[], T]) -> T:
    """What `call` returns or raises, on a thread of this name. It goes on where nobody waits any more.

    Raises:
        RuntimeError: This process may have no more threads.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Callable[[], T]] = loop.create_future()

    def settle(outcome: Callable[[], T]) -> None:
        if not done.done():  # else the caller was cancelled
            done.set_result(outcome)

    def work() -> None:
        outcome = _outcome(call)
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    return (await done)()


async def beside(call: Callable[[], T]) -> T:
    """What `call` returns, which does come back: on a thread of the loop's executor, or else on this one."""
    try:
        return await asyncio.to_thread(call)
    except RuntimeError:  # the main thread has ended: an executor takes no more work
        return call()


def _outcome(call: Callable[[], T]) -> Callable[[], T]:
    """Do it; returns what gives the result, or raises the exception."""
    try:
        result = call()
    except Exception as error:
        return raising(error)
    return lambda: result


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """What raises `error`."""

    def fail() -> NoReturn:
        raise error

    return fail
