"""Takes a replica that has just died off the lists of SGLang's language servers: it cannot do so any more itself.

A language server finds out by itself only after three health checks, half a minute; all that time it sends requests
there, and they fail. The replica is back on the lists when it has been restarted: it sees to that.
"""

import asyncio
import json
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

ANSWER_SECONDS = 3.0


class Farewell:
    """For the replicas of one pool.

    Args:
        servers: Bootstrap addresses of language servers, `http://host:8997`.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        self._servers = tuple(servers)
        self._tasks: set[asyncio.Task[None]] = set()

    def died(self, url: str) -> None:
        """Have `url` taken off all lists, in the background."""
        for server in self._servers:
            task = asyncio.create_task(asyncio.to_thread(take_off, server, url))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def take_off(server: str, url: str) -> None:
    """One request. A language server that does not answer has its own health checks."""
    address = urlsplit(server)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
    try:
        body = json.dumps({"url": url})
        connection.request("DELETE", "/unregister_encoder_url", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()
