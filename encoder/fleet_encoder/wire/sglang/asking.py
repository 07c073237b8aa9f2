"""Asking language servers over HTTP: each answer bounded in time and size, and read no further than somebody asks."""

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from fleet_encoder.wire.sglang.reasons import reason, silent

SECONDS = 3.0
MAX_BYTES = 1 << 20
"""A list of 10,000 encoders has 0.4 MB, what a language server says of itself some 100 KB."""
_PART_BYTES = 4096
OF_A_PROXY = (502, 503, 504)
"""What stands before it answers for one that does not listen."""

T = TypeVar("T")


class NoAnswerError(Exception):
    """There is no answer that can be used; the text says how.

    Attributes:
        silent: Nobody answered at all: it may be about to start, or be gone.
    """

    def __init__(self, text: str, *, silent: bool = False) -> None:
        super().__init__(text)
        self.silent = silent


class Listed(msgspec.Struct, frozen=True):
    """`/list_encoder_urls`."""

    encoder_urls: list[Any]


class Info(msgspec.Struct, frozen=True):
    """`/model_info` or `/server_info`: of what they say, that which somebody asks for, of any type."""

    model_path: Any = None
    model_type: Any = None
    architectures: Any = None
    revision: Any = None
    dtype: Any = None
    language_only: Any = None
    encoder_transfer_backend: Any = None
    encoder_bootstrap_port: Any = None


class Asker:
    """Asks. An async context manager."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout, cookies = aiohttp.ClientTimeout(total=SECONDS), aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=cookies)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, url: str, kind: type[T]) -> T:
        """What is there.

        Raises:
            NoAnswerError: Nothing that can be used.
        """
        text = await self.ask("GET", url)
        try:
            return msgspec.json.decode(text, type=kind)
        except (ValueError, RecursionError) as error:
            raise NoAnswerError("its answer is not what a language server says") from error

    async def ask(self, method: str, url: str, body: Any = None) -> bytes:
        """Ask, and follow to no other address.

        Raises:
            NoAnswerError: It does not do it, or does not answer.
        """
        assert self._session is not None
        try:
            async with self._session.request(method, url, json=body, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NoAnswerError(f"it answers HTTP {answer.status}", silent=answer.status in OF_A_PROXY)
                text = bytearray()
                while part := await answer.content.read(_PART_BYTES):
                    text += part
                    if len(text) > MAX_BYTES:
                        raise NoAnswerError("it answers with too much")
                    await asyncio.sleep(0)  # it may come in chunks of one byte
                return bytes(text)
        except TimeoutError as error:
            raise NoAnswerError(f"it does not answer within {SECONDS:g} s", silent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError(reason(error), silent=silent(error)) from error
