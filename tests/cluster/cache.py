"""Where the control plane's programs are kept between runs: outside of the checkout, so a new clone finds them too."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]
MODULES = Path(__file__).parent / "modules"


class MissingProgramError(Exception):
    """A program of the control plane is not there and cannot be made; one line that says what to install."""


def root() -> Path:
    """The cache folder of the control plane."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "encoderfleet" / "control-plane"


def folder(name: str, *inputs: bytes) -> Path:
    """Where the programs called `name` made from `inputs` are: other inputs, another folder."""
    digest = hashlib.sha256()
    for each in inputs:
        digest.update(hashlib.sha256(each).digest())
    return root() / f"{name}-{digest.hexdigest()[:16]}"


@contextmanager
def locked(say: Say) -> Iterator[None]:
    """Hold the cache for writing: two runs never build at once. The kernel lets go where a run is killed."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("==> another run builds the control plane; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
