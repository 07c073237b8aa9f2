"""Takes a replica that has just died off the lists of SGLang's language servers: it cannot do so any more itself.

A language server finds out by itself only after three health checks, half a minute; all that time it sends requests
there, and they fail. The replica is back on the lists when it has been restarted: it sees to that.
"""

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

ANSWER_SECONDS = 3.0


class Farewell:
    """For the replicas of one pool.

    Args:
        servers: Addresses of language servers: of their lists, `http://host:8997`, or of their APIs.
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
    """Have `url` taken off one list. A language server that does not answer has its own health checks."""
    path, body = "/unregister_encoder_url", json.dumps({"url": url})
    try:
        status, _ = _ask(server, "DELETE", path, body)
        if status == HTTPStatus.NOT_FOUND:  # the address of its API, which knows the one of its list
            port = int(json.loads(_ask(server, "GET", "/server_info")[1])["encoder_bootstrap_port"])
            _ask(f"http://{urlsplit(server).hostname}:{port}", "DELETE", path, body)
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        pass


def _ask(server: str, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Status and body of the answer."""
    address = urlsplit(server)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
