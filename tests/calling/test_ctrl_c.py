"""Ctrl-C while a command still reads its files: one empty line, and the exit code that shells give it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-c", "from fleet_cli.main import main; main()"]


def heed_ctrl_c() -> None:
    """What a shell starts in the background ignores it, and so would these tests' children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_while_up_waits_for_its_pool_file(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    os.mkfifo(pool)  # nobody writes to it, so that reading it waits
    process = subprocess.Popen(
        [*COMMAND, "up", str(pool)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        # With a reader there, opening it to write no longer fails: then the command has come that far.
        while True:
            try:
                writer = os.open(pool, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                assert process.poll() is None
                time.sleep(0.01)
            else:
                break
        process.send_signal(signal.SIGINT)
        os.close(writer)  # a signal that came just before the reading has not woken it
        assert process.communicate(timeout=60) == ("", "\n")
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
