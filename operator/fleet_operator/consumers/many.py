"""Asking one language server about many encoders: side by side, and what fails for one keeps no other.

Where it says nothing at all the others are left for the next look: else an encoder that is about to go would stay on
its list while it is told of those that have come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fleet_operator.consumers.asking import NoAnswerError

_SIDE_BY_SIDE = 8


async def each(ask: Callable[[str, str], Awaitable[None]], address: str, urls: Sequence[str]) -> tuple[list[str], str]:
    """Those of the URLs for which that was done, and what kept it from the others.

    Args:
        ask: Asks for one of them.
        address: Of the language server.
        urls: Of encoders.
    """
    turns, trouble, silent = asyncio.Semaphore(_SIDE_BY_SIDE), "", False

    async def one(url: str) -> bool:
        nonlocal trouble, silent
        async with turns:
            if silent:
                return False
            try:
                await ask(address, url)
            except NoAnswerError as error:
                trouble, silent = str(error), silent or error.silent
                return False
        return True

    done = await asyncio.gather(*map(one, urls))
    return [url for url, taken in zip(urls, done, strict=True) if taken], trouble
