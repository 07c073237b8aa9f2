"""Fetching a model in a process of its own, without an encoder around it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PROGRAM = """
import json, sys
from fleet_encoder.runner.hub import fetch_settings, fetch_weights
name, revision, files = json.loads(sys.argv[1])
directory = fetch_settings(name, revision)
if files:
    fetch_weights(name, directory, files)
assert not {"torch", "transformers"} & set(sys.modules)
print(directory)
"""


def fetch(environment: Mapping[str, str], *, revision: str = "", files: Sequence[str] = ()) -> Path:
    """Settings of `org/tiny`, and files of its weights; returns its directory."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(["org/tiny", revision, [*files]])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def refused(environment: Mapping[str, str], *flags: str, limit: str = "unlimited") -> str:
    """The last line of an encoder that is told a name, and ends with it.

    Args:
        environment: Of the encoder.
        flags: Its flags.
        limit: Most kilobytes of a file that it may write.
    """
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "limited", sys.executable, "-m", "fleet_encoder", *flags]
        + ["--bind", "tcp://127.0.0.1:0", "--http", "127.0.0.1:0"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("encoderfleet-encoder: ")
    return line.removeprefix("encoderfleet-encoder: ")
