"""The client for programs without an event loop: the asyncio client on a thread of its own."""

import asyncio
import atexit
import concurrent.futures
import os
import queue
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from fleet_client import errors, tensors
from fleet_client.aio import AsyncClient, Outcome, checked_items
from fleet_client.encoding import Encoding
from fleet_client.media import Media
from fleet_client.protocol import Welcome
from fleet_client.threads import raising

_T = TypeVar("_T")

AT_EXIT_SECONDS = 5.0
"""How long the end of a program waits for a client that was left open."""


class Client:
    """Encodes media at one or several encoders. May be used from many threads at a time.

    Close it, use it as `with Client(...) as client`, or let the garbage collector or the end of the program do so.

    Args:
        endpoints: One address or several: `tcp://host:port`, `host:port` or `ipc://path`. Name every encoder, or
            a name that stands for all of them, as a pool's headless Service does: each of its addresses is one.
        timeout: Seconds that an item may take in all, retries included; None for ever.
        name: Of this client, for the encoders' logs.
        framework: What embeddings come as: "numpy" arrays or "torch" tensors.

    Raises:
        ValueError: An address or the framework is not one.
        OSError: The process may not have file descriptors enough for so many encoders.
        ModuleNotFoundError: torch is asked for and not installed.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        *,
        timeout: float | None = 60.0,
        name: str = "",
        framework: tensors.Framework = "numpy",
    ) -> None:
        self._client = AsyncClient(endpoints, timeout=timeout, name=name, framework=framework)
        self._background = _Background(self._client)
        # The garbage collector runs in any thread, perhaps in one that others wait for: it must not wait itself.
        self._finalizer = weakref.finalize(self, self._background.stop)
        self._finalizer.atexit = False  # `_stop_all` waits
        try:
            self._background.call(self._client.__aenter__())  # so that a wrong address shows here
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @overload
    def encode(
        self, items: Iterable[Media], *, return_errors: Literal[False] = False, timeout: float | None = None
    ) -> list[Encoding]: ...
    @overload
    def encode(self, items: Iterable[Media], *, return_errors: bool, timeout: float | None = None) -> list[Outcome]: ...

    def encode(
        self, items: Iterable[Media], *, return_errors: bool = False, timeout: float | None = None
    ) -> Sequence[Outcome]:
        """Encode `items`, each where there is room; returns their embeddings in order.

        Args:
            items: Made by `image`, `video` and `audio`.
            return_errors: Put a failed item's exception in its place instead of raising it.
            timeout: Seconds, instead of the client's own.

        Raises:
            EncodeError: The first failed item's, after all the others are done; `results` has them.
        """
        return self._background.call(
            self._client.encode(checked_items(items), return_errors=return_errors, timeout=timeout)
        )

    @overload
    def stream(
        self, items: Iterable[Media], *, return_errors: Literal[False] = False, timeout: float | None = None
    ) -> Generator[tuple[int, Encoding], None, None]: ...
    @overload
    def stream(
        self, items: Iterable[Media], *, return_errors: bool, timeout: float | None = None
    ) -> Generator[tuple[int, Outcome], None, None]: ...

    def stream(
        self, items: Iterable[Media], *, return_errors: bool = False, timeout: float | None = None
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Encode `items`; yields `(index, embedding)` as each is done.

        Closing the generator cancels what is not done. Arguments as for `encode`; without `return_errors` the first
        exception is raised at the end, after all that succeeded.
        """
        pairs: queue.SimpleQueue[tuple[int, Outcome] | BaseException | None] = queue.SimpleQueue()
        stream = self._client.stream(checked_items(items), return_errors=return_errors, timeout=timeout)
        pump = self._background.start(_pump(stream, pairs))
        try:
            while (pair := pairs.get()) is not None:
                if isinstance(pair, BaseException):
                    raise pair
                yield pair
        finally:
            pump.cancel()

    def hello(self, timeout: float = 5.0) -> dict[str, Welcome]:
        """Wait until an encoder answers; returns what those that have answered say about themselves.

        Raises:
            Unreachable: None did in `timeout` seconds; says what is wrong with each.
            Incompatible: All of them speak another protocol version.
        """
        return self._background.call(self._client.hello(timeout))

    def close(self) -> None:
        """Cancel what is not done, tell the encoders, close the sockets, end the thread. May be called twice."""
        self._finalizer.detach()
        self._background.stop()
        self._background.join()


class _Background:
    """A thread with an event loop that belongs to one client. Knows nothing of `Client`, so that that can be freed."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._process = os.getpid()
        # A signal's handler may close the client that it has interrupted here.
        self._lock = threading.RLock()
        self._stopped = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fleet_client", daemon=True)
        self._thread.start()
        _every.add(self)

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run `work` there and wait for it; an exception here (Ctrl-C, say) cancels it."""
        # Not for the future: who waits for one holds its lock, and so would a signal's handler that closes the client,
        # which waits for the thread, which wants the lock.
        outcomes: queue.SimpleQueue[Callable[[], _T]] = queue.SimpleQueue()
        try:
            future = self.start(_told(work, outcomes.put))
        except errors.ClientClosed:
            work.close()
            raise
        try:
            return outcomes.get()()
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, _T]) -> "concurrent.futures.Future[_T]":
        """Run `work` there.

        Raises:
            ClientClosed: There is no thread any more, or none in this process.
        """
        if os.getpid() != self._process:
            work.close()
            raise errors.ClientClosed("this process was forked from the client's: make a client in each process")
        with self._lock, suppress(RuntimeError):  # the loop is closed
            if not self._stopped:
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
                if not self._loop.is_closed():  # as by a handler that ran here meanwhile
                    return future
        work.close()
        raise errors.ClientClosed("the client is closed: make a new one")

    def stop(self) -> None:
        """Let the thread close the client and end. Does not wait for that."""
        if os.getpid() != self._process:  # its thread is not in this process
            return
        with self._lock:
            if not self._stopped:
                self._stopped = True
                asyncio.run_coroutine_threadsafe(self._close(), self._loop)

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the thread, `seconds` at most."""
        if os.getpid() == self._process and threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    async def _close(self) -> None:
        try:
            await self._client.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:  # they tell their callers, who wait in other threads
                await asyncio.wait(others)
        finally:
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


_every: "weakref.WeakSet[_Background]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Close what the program left open: its encoders are told."""
    every = [*_every]
    for each in every:
        each.stop()
    for each in every:
        each.join(AT_EXIT_SECONDS)


async def _told(work: Coroutine[Any, Any, _T], tell: Callable[[Callable[[], _T]], None]) -> None:
    """Do it; tell what gives its result, or raises its exception."""
    try:
        result = await work
    except BaseException as error:
        tell(raising(error))
        if isinstance(error, asyncio.CancelledError):
            raise
    else:
        tell(lambda: result)


async def _pump(
    stream: AsyncGenerator[tuple[int, Outcome], None],
    pairs: "queue.SimpleQueue[tuple[int, Outcome] | BaseException | None]",
) -> None:
    """Carry a stream into another thread; its end is a None, or the exception."""
    end: BaseException | None = None
    try:
        async for pair in stream:
            pairs.put(pair)
    except BaseException as error:
        end = error
        if isinstance(error, asyncio.CancelledError):
            raise
    finally:
        await stream.aclose()
        pairs.put(end)
