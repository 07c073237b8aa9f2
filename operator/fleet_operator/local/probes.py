"""What a replica answers over HTTP, asked as a kubelet does."""

import asyncio
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

DRAINING = "draining"
"""What `/readyz` of a replica that was already asked to finish begins with."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a probe.

    Attributes:
        ok: It was 200.
        said: First line of the answer; empty where there was none.
    """

    ok: bool
    said: str = ""

    @property
    def draining(self) -> bool:
        """Whether the replica says that it finishes what it has."""
        return not self.ok and self.said.startswith(DRAINING)


async def ask(address: str, path: str, seconds: float) -> Answer:
    """Ask for `path`, like `/readyz`, at host:port `address`; no answer within about `seconds` is not ok."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(_ask, address, path, seconds), seconds)
    except TimeoutError:
        return Answer(False)


def _ask(address: str, path: str, seconds: float) -> Answer:
    connection = HTTPConnection(address, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        said = response.read(500).decode("utf-8", "replace").strip().partition("\n")[0]
    except (OSError, HTTPException):
        return Answer(False)
    finally:
        connection.close()
    return Answer(response.status == 200, said)
