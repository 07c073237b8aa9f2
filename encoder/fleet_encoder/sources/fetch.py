"""One door to all sources: an URL in, the media's bytes out."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from aiohttp.abc import AbstractResolver

from fleet_encoder.errors import Expired, MediaUnreachable
from fleet_encoder.sources import addresses, data_uri, local
from fleet_encoder.sources.addresses import Reach
from fleet_encoder.sources.http import HttpSource
from fleet_encoder.sources.shares import Hold, MemoryShare
from fleet_encoder.sources.urls import file_path, redacted, scheme

MAX_SECONDS = 300.0
"""A download may take, where the item has no earlier deadline."""

PENDING_BYTES = 1 << 30
"""Downloads may hold together, where nothing else is given."""

INLINE_CHARACTERS = 1 << 14
"""A `data:` URI up to this length is decoded faster than it is handed to a thread."""

FILE_THREADS = 8
DECODE_THREADS = 2

Data = bytes | bytearray | memoryview

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What may be fetched: `spec.media` of the pool.

    Attributes:
        allowed_domains: Exact hosts, or `*.example.com` for all below example.com. Empty: any.
        allow_private_networks: Private and loopback addresses may be connected to. Link-local, cloud metadata and
            reserved ones never are.
        local_root: Directory that `file:` URLs may read below; None: they are refused.
        max_bytes: Of one file.
    """

    allowed_domains: tuple[str, ...]
    allow_private_networks: bool
    local_root: Path | None
    max_bytes: int


class Fetcher:
    """Fetches for the whole process; an async context manager.

    Attributes:
        memory: What is being received, here and by facades, holds of it.

    Args:
        policy: What is allowed.
        max_pending_bytes: Memory of all downloads under way; one alone always fits.
        admitted_bytes: What else counts towards that limit now.
        resolver: Names to addresses; None: the system's.
        judge: Who is behind a numeric address. Only a test, which has no public address, gives another.
    """

    def __init__(
        self,
        policy: SourcePolicy,
        *,
        max_pending_bytes: int = PENDING_BYTES,
        admitted_bytes: Callable[[], int] = lambda: 0,
        resolver: AbstractResolver | None = None,
        judge: Callable[[str], Reach] = addresses.reach,
    ) -> None:
        self._policy = policy
        self.memory = MemoryShare(max_pending_bytes, admitted_bytes)
        self._files = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="file")
        self._decoding = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="unpack")
        self._http = HttpSource(
            allowed_domains=policy.allowed_domains,
            allow_private=policy.allow_private_networks,
            max_bytes=policy.max_bytes,
            threads=self._decoding,
            judge=judge,
            resolver=resolver,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)
        self._files.shutdown(wait=False, cancel_futures=True)
        self._decoding.shutdown(wait=False, cancel_futures=True)

    @property
    def held_bytes(self) -> int:
        """Memory of the downloads under way."""
        return self.memory.held

    async def fetch(self, url: str, timeout: float | None, *, counted: bool = False) -> Data:
        """Get the media's bytes.

        Args:
            url: http, https, data or file.
            timeout: Seconds until nobody wants them; None: no deadline.
            counted: Admission has counted the bytes already: a `data:` URI's are known before.

        Raises:
            Invalid: The pool's rules refuse it, or there is no such file; says what to do.
            TooLarge: Over `spec.media.maxBytes`.
            MediaUnreachable: The host fails, or is too slow.
            Expired: `timeout` seconds passed.
            Busy: Too much is being fetched at this moment.
        """
        if timeout is not None and timeout <= 0:
            raise Expired(f"{redacted(url)}: its deadline passed before it could be fetched: give it more time")
        seconds = MAX_SECONDS if timeout is None else min(timeout, MAX_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                return await self._fetch(url, counted)
        except TimeoutError:
            if timeout is not None and timeout <= MAX_SECONDS:
                raise Expired(
                    f"{redacted(url)}: its deadline passed while it was fetched: give it more time, or send the bytes"
                ) from None
            raise MediaUnreachable(
                f"{redacted(url)}: not there after {MAX_SECONDS:.0f} s: serve it faster, or send the bytes"
            ) from None

    async def _fetch(self, url: str, counted: bool) -> Data:
        hold = Hold(self.memory)
        limit = self._policy.max_bytes
        match scheme(url):
            case "data":
                if counted:
                    hold.release()  # holds nothing from now on
                if len(url) <= INLINE_CHARACTERS:
                    return data_uri.decode(url, limit, lambda _: None)
                return await _in_thread(self._decoding, hold, data_uri.decode, url, limit, hold.cover)
            case "file":
                path, root = file_path(url), self._policy.local_root
                return await _in_thread(self._files, hold, local.read, path, redacted(url), root, limit, hold.cover)
            case _:
                try:
                    return await self._http.fetch(url, hold.cover)
                finally:
                    hold.release()


async def _in_thread(
    threads: ThreadPoolExecutor, hold: Hold, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs
) -> _R:
    """Run `function`; the memory counts until its thread is done, also where nobody waits for it any more."""
    future = threads.submit(function, *args, **kwargs)
    future.add_done_callback(lambda _: hold.release())
    return await asyncio.wrap_future(future)
