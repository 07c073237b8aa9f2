"""What programs mount and start for the nodes' images is gone when they end, however that comes about."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError
from tests.node import tools

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts want root")

BUILD = """
import sys
from pathlib import Path
from tests.node import images
from tests.node.__main__ import end_in_order
end_in_order()
images.BUSYBOX = Path(sys.argv[1])
try:
    images.ensure(images.BUSYBOX)
except KeyboardInterrupt:
    sys.exit(130)
"""
DEBOOTSTRAP = """#!/bin/bash
root="${@: -1}"
mkdir -p "$root/proc"
mount -t tmpfs tmpfs "$root/proc"
touch "$root/proc/of-the-machine"
exec 3>"$STARTED"
sleep 600 &
echo started >&3
wait
"""
"""A stand-in that mounts and starts something, as the real one does, and then takes its time."""


def stand_in(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@as_root
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL", "SIGTERM"])
def test_a_base_image_that_was_not_finished_leaves_no_mounts_and_no_processes(tmp_path: Path, name: str) -> None:
    stand_in(tmp_path / "buildah", "#!/bin/sh\n")
    stand_in(tmp_path / "debootstrap", DEBOOTSTRAP)
    os.mkfifo(tmp_path / "started")
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STARTED": str(tmp_path / "started"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-c", BUILD, str(tmp_path / "buildah")]
    ran = {"cwd": Path(__file__).parents[2], "env": environment, "text": True}
    with subprocess.Popen(command, stderr=subprocess.PIPE, **ran) as build:
        try:
            with (tmp_path / "started").open() as started:
                assert started.readline() == "started\n"
                number = getattr(signal, name)
                build.send_signal(number)
                assert build.wait(60) == (-number if name == "SIGKILL" else 130)
                assert started.read() == "", "whoever it started has it open"
            assert build.stderr
            assert build.stderr.read() == ""
            assert tools.mounted(tmp_path) == []
        finally:
            build.kill()
            for point in tools.mounted(tmp_path):
                subprocess.run(["umount", "--lazy", point], check=True)

    stand_in(tmp_path / "debootstrap", '#!/bin/sh\nfor root; do :; done\nmkdir "$root"\n')
    subprocess.run(command, check=True, **ran)
    assert not list((tmp_path / "cache" / "encoderfleet" / "images").glob("base*"))


@as_root
def test_what_is_mounted_in_a_folder_outlives_it(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    (kept / "below").mkdir(parents=True)
    (kept / "file").touch()
    point = folder / "root" / "mount"
    point.mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(kept), str(point)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(point / "below")], check=True)

    tools.remove(folder)

    assert not folder.exists()
    assert (kept / "file").exists()


def test_a_folder_that_is_not_there_is_removed(tmp_path: Path) -> None:
    tools.remove(tmp_path / "none")


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(MissingProgramError, match=r"^sh -c .*: no space left on device$"):
        tools.run("sh", "-c", "echo no space left on device >&2; exit 1")
    with pytest.raises(MissingProgramError, match=r"^no-such-program is missing: run scripts/node-packages$"):
        tools.run_apart("no-such-program")
