"""Namespaces of our own for a command: network, mounts and processes.

Whatever happens to the command, nothing of it is left; where we ourselves are killed, the next run clears up.

Nodes change a machine: bridges, firewall rules, mounts, control groups, settings of the kernel. In here they change
their own, which go with the last process; and that ends when the first one does, for all that it started.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.cache import MissingProgramError, cache, locked
from tests.node import cgroups, kernel

CGROUP = "/encoderfleet-nodes"
MACHINE = Path("/run/encoderfleet")
"""For what is of the machine, whoever's cache is used: who has it, and how its kernel was set before a run."""
INSIDE = "ENCODERFLEET_NODES_FOLDER"
"""Variable of who runs in here: a folder for what goes with the run, as nothing can be removed while containers run."""
LONGEST = "run-01234567/encoders-1/kubelet/pod-resources/kubelet.sock"
"""Of a run's sockets in the cache."""
SOCKET_CHARACTERS = 107
"""More the kernel does not take."""
STORE = "ENCODERFLEET_NODES_STORE"
"""Variable: what `stores.ensure` gave. In here nothing can be built: there is no network."""

_PREPARE = """
mount --make-rshared /
mount -t tmpfs tmpfs /run
for each in /var/log /var/lib/cni /var/lib/kubelet; do
  mkdir -p "$each"
  mount -t tmpfs tmpfs "$each"
done
exec "$@"
"""


def check(user: int, runs: Path) -> None:
    """See whether nodes can be started here at all, before anything is built for them.

    Args:
        user: Number of who starts them.
        runs: Where they are kept.

    Raises:
        MissingProgramError: They cannot; one line that says what to do.
    """
    if user != 0:
        raise MissingProgramError("nodes want root: sudo make e2e")
    # Others have a meaning in containerd's configuration, in URLs or in options of mounts.
    if found := re.search(r"[^\w/.+@~-]", str(runs)):
        raise MissingProgramError(f"nodes want no {found[0]!r} in the cache's path: set XDG_CACHE_HOME to another")
    if (over := len(os.fsencode(runs / LONGEST)) - SOCKET_CHARACTERS) > 0:
        raise MissingProgramError(
            f"the cache's path is {over} characters too long for nodes: set XDG_CACHE_HOME to another"
        )


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else's nodes run meanwhile, and nobody else makes images or removes those that nodes are made of."""
    with locked(MACHINE, "==> other nodes run on this machine; waiting for their end", print):
        yield


def run(command: Sequence[str], store: Path, environment: Mapping[str, str]) -> int:
    """Run the command in namespaces of its own, with images for nodes; its exit code. The caller is `alone`."""
    # Where this process is killed, all in there are.
    tied = ["setpriv", "--pdeathsig=KILL", "--"]
    unshare = [*tied, "unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    program = [*unshare, "--", "bash", "-euc", _PREPARE, "prepare", *command]
    runs = cache("nodes")
    runs.mkdir(parents=True, exist_ok=True)
    with kernel.kept(MACHINE / "kernel.json"), _control_group(), _folder(runs) as folder:
        return subprocess.run(program, env={**environment, INSIDE: str(folder), STORE: str(store)}).returncode


@contextmanager
def _folder(runs: Path) -> Iterator[Path]:
    for older in runs.glob("run-*"):  # of one that was killed
        shutil.rmtree(older)
    folder = Path(tempfile.mkdtemp(dir=runs, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _control_group() -> Iterator[None]:
    cgroups.remove(CGROUP)  # of a run that was killed
    try:
        cgroups.create(CGROUP)
        yield
    finally:
        try:
            cgroups.remove(CGROUP)
        except OSError as error:
            print(f"nodes: {error}", file=sys.stderr)
