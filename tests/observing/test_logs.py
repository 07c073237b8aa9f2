"""Logs tell what happened, never what was sent; and nobody has to read them."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from fleet_encoder.logs import configure, flush
import structlog
configure(sys.argv[1], "r-0")
log = structlog.get_logger()
def decode(url, data):
    raise ValueError("cannot decode")
try:
    decode("https://example.com/a?X-Amz-Signature=SECRET", b"MEDIA-BYTES")
except ValueError:
    log.exception("stage failed", stage="decode")
flush()
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_shows_no_values(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=True, timeout=60)
    assert "stage failed" in done.stderr
    assert "ValueError" in done.stderr
    assert "cannot decode" in done.stderr
    # The source line of the call may stand in a traceback of a file; a script from the command line has none.
    assert "SECRET" not in done.stderr
    assert "MEDIA-BYTES" not in done.stderr


def test_an_unread_stderr_holds_nobody_up() -> None:
    script = """
import sys
from fleet_encoder.logs import configure, flush
import structlog
configure("text", "r-0")
log = structlog.get_logger()
for number in range(50_000):
    log.info("item done", number=number, filler="x" * 100)
print("done", flush=True)
import os
flush()
os._exit(0)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"done\n"
    assert process.wait(60) == 0
    process.stdout.close()
    process.stderr.close()
