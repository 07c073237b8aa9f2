"""Images are unpacked whatever an earlier run left, and who cannot do it says why. With a stand-in for containerd."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError, cache
from tests.node import stores, tools
from tests.node.images import Image
from tests.node.programs import NodePrograms

CONTAINERD = """
folder="$(dirname "${1#--config=}")"
mkdir -p "$folder/root/tmpmounts/layer"
mount -t tmpfs tmpfs "$folder/root/tmpmounts/layer" || exit 1
touch "$folder/containerd.sock"
exec sleep 600
"""
"""Mounts as the real one does, and ends without a word."""
IMAGES = [Image("docker.io/library/it:1", "0123")]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodePrograms]:
    """Of a node, and a buildah that writes an archive."""
    if os.geteuid() != 0:
        pytest.skip("mounts want root")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    archive = 'for to; do :; done; to="${to#docker-archive:}"; touch "${to%%:*}"'
    for name, text in {"containerd": CONTAINERD, "ctr": "", "buildah": archive}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    none = Path("/nonexistent")
    yield NodePrograms(none, none, tmp_path / "containerd", tmp_path / "ctr", none)
    for point in tools.mounted(tmp_path):
        subprocess.run(["umount", "--lazy", point], check=True)


def test_what_was_left_mounted_stops_nobody(programs: NodePrograms, tmp_path: Path) -> None:
    left = cache("images") / "store.unfinished" / "root" / "tmpmounts" / "left"
    left.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(left)], check=True)

    store = stores.ensure(programs, IMAGES)

    assert list((store / "root" / "tmpmounts").iterdir()) == [store / "root" / "tmpmounts" / "layer"]
    assert tools.mounted(tmp_path) == []


def test_who_cannot_unpack_says_why(programs: NodePrograms) -> None:
    programs.ctr.write_text("#!/bin/sh\necho ctr: no space left on device >&2\nexit 1\n")
    with pytest.raises(MissingProgramError, match=r"images import .*: ctr: no space left on device$"):
        stores.ensure(programs, IMAGES)
