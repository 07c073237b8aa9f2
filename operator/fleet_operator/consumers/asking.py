"""Asking language servers and encoders over HTTP: each answer bounded in time and size, side by side."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from fleet_operator.consumers.told import Listed, Told

CONNECTIONS = 256
SILENT_CONNECTIONS = 128
"""For those that let the time pass when they were asked last: hundreds of them delay none that answers."""
_MOST_SILENT = 10_000
"""Addresses that are remembered; pods and their addresses come and go."""
SECONDS = 2.0
"""For one request, connecting included."""
MAX_BYTES = 1 << 20
"""A list of 10,000 encoders has 0.4 MB, what a language server says of itself some 100 KB."""
_PART_BYTES = 4096
"""Between two parts of an answer others have their turn: it may come in chunks of one byte."""
_OF_A_PROXY = (502, 503, 504)
"""What a sidecar answers for a server that does not listen yet."""
MODEL = "/model_info"
SERVER = "/server_info"

T = TypeVar("T")
Observer = Callable[[str, str], None]
"""Told what was asked for (`list`, `register`, `unregister`, `model`) and how it ended (`ok`, `failed`)."""


class NoAnswerError(Exception):
    """There is no answer that can be used. The text says how, always in the same words: `refuses connections`.

    Attributes:
        refused: Nobody listens there.
        silent: Nobody said anything, or what stands before it says that nobody does: it may be about to start.
    """

    def __init__(self, message: str, *, refused: bool = False, silent: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.silent = silent


class Asker:
    """Asks. An async context manager.

    Args:
        observe: Told of each request.
    """

    def __init__(self, observe: Observer = lambda *_: None) -> None:
        self._observe = observe
        self._session: aiohttp.ClientSession | None = None
        self._turns, self._silent_turns = asyncio.Semaphore(CONNECTIONS), asyncio.Semaphore(SILENT_CONNECTIONS)
        self._silent: set[str] = set()

    async def __aenter__(self) -> Self:
        # A connection for each request: they are seconds apart, and one that the other side has closed meanwhile would
        # lose a request. No cookies, and no proxy between pods.
        connector = aiohttp.TCPConnector(limit=0, use_dns_cache=False, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def listed(self, address: str) -> tuple[str, ...]:
        """URLs that a language server knows.

        Raises:
            NoAnswerError: It does not say.
        """
        answer = await self._read("list", address, "/list_encoder_urls", Listed)
        if not isinstance(answer.encoder_urls, list):
            raise NoAnswerError("answers, but with no list of encoders")
        return tuple(each for each in answer.encoder_urls if isinstance(each, str))

    async def register(self, address: str, url: str) -> None:
        """Tell a language server of an encoder.

        Raises:
            NoAnswerError: It does not take it.
        """
        await self._ask("register", "POST", address, "/register_encoder_url", {"url": url})

    async def unregister(self, address: str, url: str) -> None:
        """Tell a language server not to use an encoder any more.

        Raises:
            NoAnswerError: It does not take it.
        """
        await self._ask("unregister", "DELETE", address, "/unregister_encoder_url", {"url": url})

    async def told(self, address: str, path: str) -> Told:
        """What an encoder or a language server says of itself.

        Args:
            address: `host:port`.
            path: `MODEL` or `SERVER`.

        Raises:
            NoAnswerError: It does not say.
        """
        return await self._read("model", address, path, Told)

    async def _read(self, what: str, address: str, path: str, kind: type[T]) -> T:
        text = await self._ask(what, "GET", address, path)
        try:
            # What nobody wants to know is skipped, and not made objects of: an answer may be made to be slow to read.
            return msgspec.json.decode(text, type=kind)
        except (ValueError, RecursionError) as error:
            raise NoAnswerError("answers, but with no JSON object") from error

    async def _ask(self, what: str, method: str, address: str, path: str, body: Any = None) -> bytes:
        try:
            # The time begins with its turn: else those that others keep waiting would be lost for it.
            async with self._silent_turns if address in self._silent else self._turns, asyncio.timeout(SECONDS):
                answer = await self._send(method, f"http://{address}{path}", body)
            self._silent.discard(address)
        except NoAnswerError:
            self._observe(what, "failed")
            raise
        except TimeoutError as error:
            self._observe(what, "failed")
            if len(self._silent) >= _MOST_SILENT:
                self._silent.clear()
            self._silent.add(address)
            raise NoAnswerError(f"does not answer within {SECONDS:g} s", silent=True) from error
        except aiohttp.ClientConnectorError as error:
            self._observe(what, "failed")
            refused = isinstance(error.os_error, ConnectionRefusedError)
            said = "refuses connections" if refused else "cannot be reached"
            raise NoAnswerError(said, refused=refused, silent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._observe(what, "failed")
            raise NoAnswerError("breaks off, or does not speak HTTP", silent=True) from error
        self._observe(what, "ok")
        return answer

    async def _send(self, method: str, url: str, body: Any) -> bytes:
        assert self._session is not None
        async with self._session.request(method, url, json=body, allow_redirects=False) as answer:
            if answer.status != 200:
                raise NoAnswerError(f"answers HTTP {answer.status}", silent=answer.status in _OF_A_PROXY)
            text = bytearray()
            while part := await answer.content.read(_PART_BYTES):
                text += part
                if len(text) > MAX_BYTES:
                    raise NoAnswerError("answers with too much")
                await asyncio.sleep(0)
            return bytes(text)
