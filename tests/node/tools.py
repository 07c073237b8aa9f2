"""Other people's programs, run to their end; and the folders that they leave behind."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.cache import MissingProgramError

TAIL_LINES = 20
OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")
"""Before a command: what it mounts is seen by nobody else, and gone with it."""
_APART = ("setpriv", "--pdeathsig=KILL", "--", *OWN_MOUNTS, "--pid", "--fork", "--kill-child", "--")


def run(program: str, *arguments: str) -> str:
    """What a program writes to stdout.

    Raises:
        MissingProgramError: It is not there, or fails; with the last lines that it wrote.
    """
    return _run(program, [program, *arguments])


def run_apart(program: str, *arguments: str) -> str:
    """As `run`, with mounts and processes of its own: whoever ends it or us, neither is left."""
    return _run(program, [*_APART, program, *arguments])


def remove(folder: Path) -> None:
    """Remove a folder where there is one; what somebody who was killed left mounted in it is let go, and stays.

    Raises:
        MissingProgramError: It cannot be removed; one line that says why.
    """
    for point in reversed(mounted(folder)):
        run("umount", "--lazy", point)
    run("rm", "-rf", "--one-file-system", str(folder))


def mounted(folder: Path) -> list[str]:
    """What is mounted below a folder, in the order in which it was."""
    inside = f"{folder.resolve()}/"
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [each for each in points if each.startswith(inside)]


def _run(program: str, command: Sequence[str]) -> str:
    if shutil.which(program) is None:
        raise MissingProgramError(f"{program} is missing: run scripts/node-packages")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-TAIL_LINES:])
        raise MissingProgramError(f"{' '.join(command)}: {last or f'ended with {done.returncode}'}")
    return done.stdout
