"""What is started is gone behind the block with all that it forked, and what does not start says why."""

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cluster import ports
from tests.interop.server import Server, ServerError

FORKING = """
import http.server, os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
http.server.SimpleHTTPRequestHandler.do_GET = lambda self: (self.send_response(200), self.end_headers())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def server(logs: Path, program: str) -> Server:
    (port,) = ports.free(1)
    return Server(Path(sys.executable), "tried", logs, ["-c", program, port], port, {})


def members(group: int) -> int:
    """How many processes of the group run; what is dead and waits for its parent's look does not."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of, *_ = path.read_text().rpartition(")")[2].split()
            count += int(of) == group and state not in "ZX"
    return count


def test_nothing_that_it_forked_stays(tmp_path: Path) -> None:
    with server(tmp_path, FORKING) as running:
        group = running.pid
        assert running.running
        assert members(group) == 2
    deadline = time.monotonic() + 20
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert members(group) == 0


def test_a_killed_one_can_still_be_ended(tmp_path: Path) -> None:
    with server(tmp_path, FORKING) as running:
        running.kill()
        assert running.get("/health") == (0, b"")


def test_what_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    failing = server(tmp_path, "print('a flag is wrong', flush=True); raise SystemExit(2)")
    with pytest.raises(ServerError, match="ended while it started.*\na flag is wrong"):
        failing.__enter__()
