"""Takes a replica that has just died off the lists of SGLang's language servers: it cannot do so any more itself.

A language server finds out by itself only after three health checks, half a minute; all that time it sends requests
there, and they fail. The replica is back on the lists when it has been restarted: it sees to that.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from fleet_operator.addresses import at

ANSWER_SECONDS = 3.0
"""For all that is asked of one language server: a replica that is restarted is back before long."""
_MOST_BYTES = 1 << 20


class Farewell:
    """For the replicas of one pool.

    Args:
        servers: Addresses of language servers: of their lists, `http://host:8997`, or of their APIs.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        self._servers = tuple(servers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._back: dict[str, threading.Event] = {}

    @property
    def under_way(self) -> bool:
        """Whether somebody is being asked."""
        return bool(self._tasks)

    def died(self, url: str) -> None:
        """Have `url` taken off all lists, in the background."""
        self.lives(url)
        back = self._back[url] = threading.Event()
        for server in self._servers:
            task = asyncio.create_task(asyncio.to_thread(take_off, server, url, back.is_set))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def lives(self, url: str) -> None:
        """What serves there is in use again: nobody is asked any more to take it off."""
        if (back := self._back.pop(url, None)) is not None:
            back.set()


def take_off(server: str, url: str, is_back: Callable[[], bool]) -> None:
    """Have `url` taken off one list, unless it is back. One that does not answer has its own health checks."""
    path, body = "/unregister_encoder_url", json.dumps({"url": url})
    until = time.monotonic() + ANSWER_SECONDS

    def ask(address: SplitResult, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        seconds = until - time.monotonic()
        if is_back() or seconds <= 0:
            raise TimeoutError
        return _ask(address, method, path, body, seconds)

    try:
        address = urlsplit(server)
        status, _ = ask(address, "DELETE", path, body)
        if status == HTTPStatus.NOT_FOUND:  # the address of its API, which knows the one of its list
            port = int(json.loads(ask(address, "GET", "/server_info")[1])["encoder_bootstrap_port"])
            # Whatever its API speaks: its list speaks HTTP.
            ask(urlsplit(f"http://{at(address.hostname or '', port)}"), "DELETE", path, body)
    except (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError):
        pass


def _ask(address: SplitResult, method: str, path: str, body: str | None, seconds: float) -> tuple[int, bytes]:
    """Status and body of the answer."""
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=seconds)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES)
    finally:
        connection.close()
