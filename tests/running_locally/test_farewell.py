"""A replica that has died is taken off the lists of language servers, over real sockets."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.cluster.certificates import Authority, Pair

from fleet_operator.local.farewell import Farewell, take_off

URL = "http://127.0.0.1:30010"
GONE = ("DELETE", "/unregister_encoder_url", {"url": URL})


class Server:
    """The list of a language server, or its API where `list_port` says at which port the list is."""

    def __init__(self, list_port: int | None = None) -> None:
        self.list_port = list_port
        self.says = json.dumps({"encoder_bootstrap_port": list_port}).encode()
        self.asked: list[tuple[str, str, object]] = []
        self.port = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    @contextmanager
    def running(self, pair: Pair | None = None) -> Iterator["Server"]:
        """Serve, with a certificate by HTTPS."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(("GET", self.path, None))
                self._answer(200, server.says)

            def do_DELETE(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(("DELETE", self.path, body))
                server.may_answer.wait(30)
                self._answer(404 if server.list_port else 200, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
            if pair is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pair.certificate, pair.key)
                listening.socket = context.wrap_socket(listening.socket, server_side=True)
            self.port = listening.server_address[1]
            threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield self
            finally:
                self.may_answer.set()
                listening.shutdown()


def not_back() -> bool:
    return False


def test_by_the_address_of_the_list_and_by_that_of_the_api() -> None:
    with Server().running() as list_, Server(list_port=list_.port).running() as api:
        take_off(f"http://127.0.0.1:{list_.port}", URL, not_back)
        assert list_.asked == [GONE]
        take_off(f"http://127.0.0.1:{api.port}", URL, not_back)
        assert list_.asked == [GONE, GONE]
        assert api.asked == [GONE, ("GET", "/server_info", None)]


def test_an_https_address_is_asked_by_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with Server().running() as list_, Server(list_port=list_.port).running(authority.server("IP:127.0.0.1")) as api:
        take_off(f"https://127.0.0.1:{api.port}", URL, not_back)
        assert list_.asked == [GONE]


def test_one_that_is_back_is_taken_off_nowhere() -> None:
    with Server().running() as list_, Server(list_port=list_.port).running() as api:
        answers = iter([False, True])
        take_off(f"http://127.0.0.1:{api.port}", URL, lambda: next(answers))
        assert (api.asked, list_.asked) == ([GONE], [])


@pytest.mark.parametrize("says", [b"[" * 100_000, b'{"encoder_bootstrap_port": "\\ud800"}', b"[]", b" " * (2 << 20)])
def test_whatever_an_api_says_is_no_error(says: bytes) -> None:
    with Server(list_port=1).running() as api:
        api.says = says
        take_off(f"http://127.0.0.1:{api.port}", URL, not_back)
        assert api.asked == [GONE, ("GET", "/server_info", None)]


def test_all_questions_together_have_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_operator.local.farewell.ANSWER_SECONDS", 0.0)
    with Server().running() as list_:
        take_off(f"http://127.0.0.1:{list_.port}", URL, not_back)
        assert list_.asked == []


async def test_a_replica_that_is_ready_again_is_not_taken_off_any_more() -> None:
    with Server().running() as list_, Server(list_port=list_.port).running() as api:
        farewell = Farewell([f"http://127.0.0.1:{api.port}"])
        api.may_answer.clear()
        farewell.died(URL)
        async with asyncio.timeout(30):
            while not api.asked:
                await asyncio.sleep(0.01)
            farewell.lives(URL)
            api.may_answer.set()
            while farewell.under_way:
                await asyncio.sleep(0.01)
        assert (api.asked, list_.asked) == ([GONE], [])
        farewell.died(URL)
        async with asyncio.timeout(30):
            while not list_.asked:
                await asyncio.sleep(0.01)
        assert list_.asked == [GONE]
