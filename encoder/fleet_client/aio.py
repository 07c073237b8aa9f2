"""The client for asyncio."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Iterable, Sequence
from types import TracebackType
from typing import Literal, Self, overload

from fleet_client import errors, tensors
from fleet_client.addresses import normalise
from fleet_client.calls import Call
from fleet_client.encoding import Encoding
from fleet_client.engine import Engine
from fleet_client.media import Media
from fleet_client.protocol import Welcome
from fleet_client.threads import beside

WIDEN_IN_THREAD_BYTES = 1 << 20

Outcome = Encoding | errors.EncodeError


class AsyncClient:
    """Encodes media at one or several encoders.

    Use it as `async with AsyncClient(...) as client`, in one event loop.

    Args:
        endpoints: One address or several: `tcp://host:port`, `host:port` or `ipc://path`. Name every encoder, or
            a name that stands for all of them, as a pool's headless Service does: each of its addresses is one.
        timeout: Seconds that an item may take in all, retries included; None for ever.
        name: Of this client, for the encoders' logs.
        framework: What embeddings come as: "numpy" arrays or "torch" tensors.

    Raises:
        ValueError: An address, the framework or the timeout is not one.
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
        every = [normalise(each) for each in ([endpoints] if isinstance(endpoints, str) else endpoints)]
        if not every:
            raise ValueError("give at least one endpoint, such as tcp://127.0.0.1:5570")
        self.endpoints = tuple(dict.fromkeys(every))
        self.timeout = None if timeout is None else _checked_seconds(timeout)
        self.name = name
        self._framework = tensors.require(framework)
        self._engine: Engine | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @overload
    async def encode(
        self, items: Iterable[Media], *, return_errors: Literal[False] = False, timeout: float | None = None
    ) -> list[Encoding]: ...
    @overload
    async def encode(
        self, items: Iterable[Media], *, return_errors: bool, timeout: float | None = None
    ) -> list[Outcome]: ...

    async def encode(
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
        stream = self.stream(items, return_errors=True, timeout=timeout)
        async with contextlib.aclosing(stream):
            outcomes: dict[int, Outcome] = {index: outcome async for index, outcome in stream}
        ordered = [outcomes[index] for index in range(len(outcomes))]
        if not return_errors:
            for each in ordered:
                if isinstance(each, errors.EncodeError):
                    each.results = ordered
                    raise each
        return ordered

    @overload
    def stream(
        self, items: Iterable[Media], *, return_errors: Literal[False] = False, timeout: float | None = None
    ) -> AsyncGenerator[tuple[int, Encoding], None]: ...
    @overload
    def stream(
        self, items: Iterable[Media], *, return_errors: bool, timeout: float | None = None
    ) -> AsyncGenerator[tuple[int, Outcome], None]: ...

    async def stream(
        self, items: Iterable[Media], *, return_errors: bool = False, timeout: float | None = None
    ) -> AsyncGenerator[tuple[int, Outcome], None]:
        """Encode `items`; yields `(index, embedding)` as each is done.

        Closing the generator, or cancelling its task, cancels what is not done. Arguments as for `encode`; without
        `return_errors` the first exception is raised at the end, after all that succeeded.
        """
        engine = self._started()
        seconds = self.timeout if timeout is None else _checked_seconds(timeout)
        # What was yielded is the caller's: it is kept here no longer.
        calls = dict(enumerate(engine.submit(checked_items(items), math.inf if seconds is None else seconds)))
        finished = _as_they_end(calls)
        failed: errors.EncodeError | None = None
        try:
            while calls:
                index = await finished.get()
                outcome = await self._outcome(calls.pop(index))
                if isinstance(outcome, errors.EncodeError):
                    outcome.index = index
                    failed = failed or outcome
                    if not return_errors:
                        continue
                yield index, outcome
            if failed is not None and not return_errors:
                raise failed
        finally:
            engine.drop(calls.values())

    async def hello(self, timeout: float = 5.0) -> dict[str, Welcome]:
        """Wait until an encoder answers; returns what those that have answered say about themselves.

        Raises:
            Unreachable: None did in `timeout` seconds; says what is wrong with each.
            Incompatible: All of them speak another protocol version.
        """
        return await self._started().hello(timeout)

    async def close(self) -> None:
        """Cancel what is not done, tell the encoders, and close the sockets. May be called twice."""
        self._closed = True
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    def _started(self) -> Engine:
        if self._closed:
            raise errors.ClientClosed("the client is closed: make a new one")
        if self._engine is None:
            self._engine = Engine(self.endpoints, self.name)
        if self._engine.loop is not asyncio.get_running_loop():
            raise RuntimeError("an AsyncClient belongs to one event loop: make one in each, or use Client")
        return self._engine

    async def _outcome(self, call: Call) -> Outcome:
        answer = await call.done
        if isinstance(answer, errors.EncodeError):
            return answer
        result = answer.result
        tensor = result.tensor
        assert tensor is not None
        assert result.meta is not None
        if tensor.dtype == "bfloat16" and len(answer.frame) > WIDEN_IN_THREAD_BYTES:
            embedding = await beside(lambda: tensors.read(tensor, answer.frame, self._framework))
        else:
            embedding = tensors.read(tensor, answer.frame, self._framework)
        return Encoding(
            embedding=embedding,
            meta=result.meta,
            cached=result.cached,
            stage_ms=result.stage_ms or {},
            endpoint=call.endpoint,
            attempts=call.attempts,
            total_ms=(call.ended - call.started) * 1000,
        )


def _checked_seconds(timeout: float) -> float:
    """`timeout`, which may be past already.

    Raises:
        ValueError: It is not a number.
    """
    seconds = float(timeout)
    if math.isnan(seconds):
        raise ValueError("timeout is not a number: give seconds, or None for ever")
    return seconds


def _as_they_end(calls: dict[int, Call]) -> "asyncio.Queue[int]":
    """The keys of `calls`, each when its call is done."""
    finished: asyncio.Queue[int] = asyncio.Queue()
    for index, call in calls.items():
        call.done.add_done_callback(lambda _, index=index: finished.put_nowait(index))  # type: ignore[misc]
    return finished


def checked_items(items: Iterable[Media]) -> list[Media]:
    """A list of `items`.

    Raises:
        TypeError: Something among them is no item.
    """
    if isinstance(items, Media):
        raise TypeError("give a list of items: [image(...)], not one item")
    every = [*items]
    for item in every:
        if not isinstance(item, Media):
            raise TypeError(f"items are made by image(...), video(...) and audio(...), not {type(item).__name__}")
    return every
