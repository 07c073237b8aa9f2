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


def cache(name: str) -> Path:
    """The folder of what is called `name`.

    Raises:
        MissingProgramError: There is no place for it; one line that says what to set.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # else to be ignored, says who defines it: each working directory would have its own
        try:
            base = Path.home() / ".cache"
        except RuntimeError as error:
            raise MissingProgramError(
                "this user has no home folder for the cache: set HOME or XDG_CACHE_HOME"
            ) from error
    return base / "encoderfleet" / name


def root() -> Path:
    """The cache folder of the control plane."""
    return cache("control-plane")


def folder(name: str, *inputs: bytes) -> Path:
    """Where the programs called `name` made from `inputs` are: other inputs, another folder."""
    digest = hashlib.sha256()
    for each in inputs:
        digest.update(hashlib.sha256(each).digest())
    return root() / f"{name}-{digest.hexdigest()[:16]}"


@contextmanager
def locked(where: Path, waiting: str, say: Say) -> Iterator[None]:
    """Hold a cache for writing: two runs never make it at once. The kernel lets go where a run is killed.

    Args:
        where: Its folder.
        waiting: What to say where another run has it.
        say: Says it.
    """
    where.mkdir(parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
