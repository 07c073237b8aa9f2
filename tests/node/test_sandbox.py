"""Who cannot start nodes reads so in one line, before anything is built; and of two who can, one waits."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError
from tests.node import sandbox

ALONE = """
import sys
from pathlib import Path
from tests.node import sandbox
sandbox.MACHINE = Path(sys.argv[1])
with sandbox.alone():
    print("alone")
    sys.stdin.read()
"""


def test_nodes_want_root() -> None:
    with pytest.raises(MissingProgramError, match=r"^nodes want root: sudo make e2e$"):
        sandbox.check(1000, Path("/home/me/.cache/encoderfleet/nodes"))


@pytest.mark.parametrize("character", ['"', "\\", ":", ",", "%", "\n", " "])
def test_a_path_that_would_mean_something_else_is_refused(character: str) -> None:
    with pytest.raises(MissingProgramError, match=rf"^nodes want no {re.escape(repr(character))} in the cache's path"):
        sandbox.check(0, Path(f"/my{character}cache/encoderfleet/nodes"))


def test_sockets_fit_into_the_path() -> None:
    longest = sandbox.SOCKET_CHARACTERS - len(f"/{sandbox.LONGEST}")
    sandbox.check(0, Path("/".ljust(longest, "e")))
    with pytest.raises(MissingProgramError, match=r"^the cache's path is 1 characters too long for nodes"):
        sandbox.check(0, Path("/".ljust(longest + 1, "e")))


def start(cache: str, folder: Path) -> subprocess.Popen[str]:
    """Wants to be alone on the machine, and is then until its stdin ends."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(folder / cache)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", ALONE, str(folder / "machine")]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment, **pipes)


def test_another_cache_is_no_other_machine(tmp_path: Path) -> None:
    with start("one", tmp_path) as first:
        assert first.stdout
        assert first.stdout.readline() == "alone\n"
        with start("two", tmp_path) as second:
            assert second.stdout
            assert second.stdout.readline() == "==> other nodes run on this machine; waiting for their end\n"
            first.communicate()
            assert second.stdout.readline() == "alone\n"
            second.communicate()


def test_what_cannot_be_written_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    command = [sys.executable, "-m", "tests.node", "build"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"node: .+\n", done.stderr), done.stderr
