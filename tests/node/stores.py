"""Images unpacked for a containerd, once, in the cache; each node of each run gets its own copy.

A copy of hard links: a containerd never writes to what an image was unpacked to. What it does write to, its databases,
is copied.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.cache import Say, cache, locked
from tests.cluster.processes import Process
from tests.node import containerd, tools
from tests.node.images import Image, export
from tests.node.programs import NodePrograms

NAMESPACE = "k8s.io"
"""Where the kubelet looks for images."""


def ensure(programs: NodePrograms, images: Sequence[Image], say: Say = print) -> Path:
    """The folder of a containerd that has the images; the caller is `sandbox.alone`, as all others are removed.

    Raises:
        MissingProgramError: The images cannot be unpacked; with the last lines of who says why.
        ControlPlaneError: containerd does not come up.
    """
    names = "\n".join(image.built for image in images)
    place = cache("images") / f"store-{hashlib.sha256(names.encode()).hexdigest()[:16]}"
    with locked(cache("images"), "==> another run unpacks images; waiting for it", say):
        if not place.exists():
            for older in cache("images").glob("store-*"):
                tools.remove(older)
            say("==> unpacking the images for the nodes")
            unfinished = cache("images") / "store.unfinished"
            tools.remove(unfinished)  # of a run that was killed
            _unpack(programs, images, unfinished)
            unfinished.rename(place)
    return place


def copy(store: Path, folder: Path) -> None:
    """Give a node's containerd, which keeps everything in `folder`, the images of the store."""
    subprocess.run(["cp", "--archive", "--link", str(store / "root"), str(folder / "root")], check=True)
    for database in (folder / "root").rglob("*.db"):
        unlinked = database.with_suffix(".copied")
        shutil.copy2(database, unlinked)
        unlinked.rename(database)


def _unpack(programs: NodePrograms, images: Sequence[Image], folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "containerd.toml").write_text(containerd.configuration(folder))
    # Where it is killed, what it has mounted meanwhile would stay.
    command = [*tools.OWN_MOUNTS, "--", str(programs.containerd), f"--config={folder / 'containerd.toml'}"]
    running = Process("containerd", command, folder / "containerd.log")
    try:
        running.wait_until(containerd.socket(folder).exists)
        ctr = [str(programs.ctr), f"--address={containerd.socket(folder)}", f"--namespace={NAMESPACE}"]
        # A layer as it came is of no use once it is unpacked.
        take = [*ctr, "images", "import", "--local", "--discard-unpacked-layers"]
        for image in images:
            archive = folder / "image.tar"
            export(image, archive)
            tools.run(*take, str(archive))
            archive.unlink()
        # What makes it collect the garbage, and waits for that.
        tools.run(*ctr, "images", "tag", images[0].name, "localhost/none:1")
        tools.run(*ctr, "images", "rm", "--sync", "localhost/none:1")
    finally:
        running.end()
