"""Namespaces of our own for a command: network, mounts and processes. Whatever happens to it, nothing of it is left.

Nodes change a machine: bridges, firewall rules, mounts, control groups, settings of the kernel. In here they change
their own, which go with the last process; and that ends when the first one does, for all that it started.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.cache import cache, locked
from tests.node import cgroups

CGROUP = "/encoderfleet-nodes"
INSIDE = "ENCODERFLEET_NODES_FOLDER"
"""Variable of who runs in here: a folder for what goes with the run, as nothing can be removed while containers run."""
STORE = "ENCODERFLEET_NODES_STORE"
"""Variable: what `stores.ensure` gave. In here nothing can be built: there is no network."""
KEPT = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory", "vm/panic_on_oom")
"""Settings of the whole machine that a kubelet changes."""

_PREPARE = """
mount --make-rshared /
mount -t tmpfs tmpfs /run
for each in /var/log /var/lib/cni /var/lib/kubelet; do
  mkdir -p "$each"
  mount -t tmpfs tmpfs "$each"
done
exec "$@"
"""


def run(command: Sequence[str], store: Path, environment: Mapping[str, str]) -> int:
    """Run the command in namespaces of its own, with images for nodes; its exit code. One run at a time."""
    # Where this process is killed, all in there are.
    tied = ["setpriv", "--pdeathsig=KILL", "--"]
    unshare = [*tied, "unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    program = [*unshare, "--", "bash", "-euc", _PREPARE, "prepare", *command]
    runs = cache("nodes")
    others = "==> other nodes run on this machine; waiting for their end"
    with locked(runs, others, print), _kernel_settings(), _control_group(), _folder(runs) as folder:
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
def _kernel_settings() -> Iterator[None]:
    before = {name: path.read_text() for name in KEPT if (path := Path("/proc/sys") / name).exists()}
    try:
        yield
    finally:
        for name, value in before.items():
            path = Path("/proc/sys") / name
            if path.read_text() != value:
                path.write_text(value)


@contextmanager
def _control_group() -> Iterator[None]:
    try:
        cgroups.remove(CGROUP)  # of a run that was killed
        cgroups.create(CGROUP)
        yield
    finally:
        try:
            cgroups.remove(CGROUP)
        except OSError as error:
            print(f"nodes: {error}", file=sys.stderr)
