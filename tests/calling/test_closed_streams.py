"""Commands run where stdin, stdout or stderr was closed before they began, as some supervisors do."""

import subprocess
import sys

PROGRAM = """
import os, sys, tempfile
from fleet_cli.main import open_closed_streams
open_closed_streams()
assert (sys.stdin.read(), sys.stdout.isatty(), sys.stderr.isatty()) == ("", False, False)
print("nobody reads this", flush=True)
assert tempfile.TemporaryFile().fileno() > 2
"""


def test_what_was_closed_is_dev_null() -> None:
    done = subprocess.run(
        ["bash", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, PROGRAM], check=False, timeout=60
    )
    assert done.returncode == 0
