"""Installs SGLang 0.5.23 for a CPU, once, into an environment of its own outside of the checkout.

`requirements.txt` and `no-deps.txt` pin all of it. A file written at the very end says what was installed: without it,
or with other pins, the environment is made anew.
"""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic

from tests.cluster.cache import Say, cache, locked

VERSION = "0.5.23"
HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
NO_DEPS = HERE / "no-deps.txt"
CHECK = "import sglang.srt.disaggregation.encoder.receiver"

NOT_TO_BE_HAD = re.compile(
    r"was not found in the (?:cache|package registry)|there is no version of|no wheels? with a matching|"
    r"Failed to (?:fetch|download)|error sending request|dns error|timed out",
    re.IGNORECASE,
)
"""What uv says where the package index cannot be reached, or has nothing for this machine."""


OF_OURS = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
"""Not for the other environment; and what is imported first is compiled for all starts."""


class MissingSGLangError(Exception):
    """SGLang is not here and its installation failed; one line that says why."""


class UnobtainableSGLangError(MissingSGLangError):
    """A wheel cannot be got on this machine: nothing that a change of this repository could mend."""


def root() -> Path:
    """The environment's folder."""
    return cache(f"sglang-{VERSION}")


def find() -> Path | None:
    """SGLang's interpreter, where these pins are installed."""
    try:
        return _python() if _stamp().read_text() == _pins() else None
    except OSError:
        return None


def ensure(say: Say = print) -> Path:
    """SGLang's interpreter; installed first where it is missing, with lines to `say` meanwhile.

    Raises:
        MissingSGLangError: It cannot be installed.
    """
    if (there := find()) is not None:
        return there
    with locked(root(), "==> another run installs SGLang; waiting for it", say):
        if (there := find()) is not None:
            return there
        started = monotonic()
        say(f"==> installing SGLang {VERSION} for the CPU into {root()} (6 GB; half a minute where wheels are cached)")
        _stamp().unlink(missing_ok=True)
        _uv("venv", "--clear", "--python", sys.executable, str(root() / "venv"))
        say("    what it imports")
        _install("-r", str(REQUIREMENTS))
        say("    SGLang, and what has to come without its dependencies")
        _install("--no-deps", "-r", str(NO_DEPS))
        say("    a first import")
        _check()
        _stamp().write_text(_pins())
        say(f"==> SGLang {VERSION} is installed ({monotonic() - started:.0f} s)")
        return _python()


def _python() -> Path:
    return root() / "venv" / "bin" / "python"


def _stamp() -> Path:
    return root() / "installed"


def _pins() -> str:
    pins = [REQUIREMENTS.read_bytes(), NO_DEPS.read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(pins)).hexdigest() + "\n"


def _install(*arguments: str) -> None:
    _uv("pip", "install", "--python", str(_python()), "--only-binary", ":all:", *arguments)


def _uv(*arguments: str) -> None:
    # Of our environment; `make setup` brings it.
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise MissingSGLangError(f"SGLang cannot be installed: {uv} is missing; run `make setup`")
    _run([str(uv), "--quiet", *arguments])


def _check() -> None:
    _run([str(_python()), "-W", "ignore", "-P", "-c", CHECK])


def _run(command: list[str]) -> None:
    ours = {key: value for key, value in os.environ.items() if key not in OF_OURS}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ours)
    if done.returncode != 0:
        kind = UnobtainableSGLangError if NOT_TO_BE_HAD.search(done.stderr) else MissingSGLangError
        raise kind(f"SGLang {VERSION} cannot be installed: {_why(done.stderr)}")


def _why(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    # uv's first line says what failed and its second one why; of a traceback only the last one says anything.
    said = lines[:2] if lines[0].startswith("error: ") else lines[-1:]
    return "; ".join(line.removeprefix("error: ").removeprefix("cause: ") for line in said)
