"""What nodes want of the kernel, and which of its settings they change for the whole machine."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.cache import MissingProgramError

SETTINGS = Path("/proc/sys")
KEPT = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
"""Settings of the whole machine that a kubelet changes."""
BRIDGED = "net/bridge/bridge-nf-call-iptables"
"""There where the kernel has br_netfilter. Each network namespace has its own."""
BOOT = "kernel/random/boot_id"


def check(settings: Path = SETTINGS) -> None:
    """See whether nodes can run here, before anything is built for them.

    Raises:
        MissingProgramError: They cannot; one line that says what to do.
    """
    if not (settings / BRIDGED).exists():
        raise MissingProgramError(
            "the kernel lacks br_netfilter, without which a pod gets no answer from another of its node through a "
            "Service. Type:  sudo modprobe br_netfilter"
        )


@contextmanager
def kept(saved: Path, settings: Path = SETTINGS) -> Iterator[None]:
    """Put the kernel's settings back at the end; one at a time.

    Args:
        saved: File for the settings as they were, as long as this lasts. Who is killed leaves it, and the next to come
            puts them back first: else it would take changed ones for those of the machine.
        settings: The kernel's.
    """
    _put_back(saved, settings)
    values = {name: path.read_text() for name in KEPT if (path := settings / name).exists()}
    unfinished = saved.with_suffix(".unfinished")
    with unfinished.open("w") as file:
        json.dump({"boot": (settings / BOOT).read_text(), "values": values}, file)
        file.flush()
        os.fsync(file.fileno())  # a name for nothing would be worse than no name
    unfinished.rename(saved)
    try:
        yield
    finally:
        _put_back(saved, settings)


def _put_back(saved: Path, settings: Path) -> None:
    if not saved.exists():
        return
    try:
        told = json.loads(saved.read_text())
    except ValueError:
        print(f"nodes: {saved} does not say how the kernel was set before a run that was killed", file=sys.stderr)
        told = {"boot": None}
    if told["boot"] == (settings / BOOT).read_text():  # else a new start of the machine has done it
        for name, value in told["values"].items():
            path = settings / name
            if path.read_text() != value:
                path.write_text(value)
    saved.unlink()
