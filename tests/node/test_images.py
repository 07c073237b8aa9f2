"""An image of one program gets one that needs nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError
from tests.node import images

WITH_LIBRARIES = shutil.which("bash") or ""


def test_a_program_that_wants_libraries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buildah").write_text("#!/bin/sh\n")
    (tmp_path / "buildah").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(images, "BUSYBOX", tmp_path / "busybox")
    shutil.copy(WITH_LIBRARIES, images.BUSYBOX)
    with pytest.raises(MissingProgramError, match=r"busybox is missing or not static: install .* busybox-static$"):
        images.ensure(tmp_path / "buildah")


def test_what_is_no_program_of_libraries_is_taken(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not images.wants_libraries(tmp_path / "script")


def test_the_package_of_a_busybox_with_libraries_is_replaced(tmp_path: Path) -> None:
    for name, text in {"apt-get": "exit 0", "id": "echo 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    shutil.copy(WITH_LIBRARIES, tmp_path / "busybox")
    script = Path(__file__).parents[2] / "scripts" / "node-packages"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run([script], env=environment, check=True, capture_output=True, text=True).stdout
    assert "busybox-static" in said.split()
