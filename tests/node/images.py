"""The images that nodes run: built from this repository's Dockerfiles as a user would, kept in the cache.

What their authors take from a registry is made here: a base from Debian's packages, and images of one program each.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import MissingProgramError, Say, cache, locked
from tests.node import containerd, tools

REPOSITORY = Path(__file__).parents[2]
COREDNS = "docker.io/library/coredns:1"
TOOLS = "docker.io/library/tools:1"
"""A shell, wget and others, in one program."""
OPERATOR = "docker.io/library/encoderfleet-operator:0.1.0"
ENCODER = "docker.io/library/encoderfleet-encoder:0.1.0"

BUSYBOX = Path("/bin/busybox")
SUITE = "bookworm"
BASE = f"localhost/base:{SUITE}"
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
"""What images of Debian leave out."""
SOURCES = ("operator", "encoder", "cli", "machine", "compatibility")
FILES = ("pyproject.toml", "LICENSE", ".dockerignore")
"""Not README.md, which is in the packages' description alone."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is built.

    Attributes:
        name: As nodes know it.
        digest: Of what it was built from.
    """

    name: str
    digest: str

    @property
    def built(self) -> str:
        """As the builder knows it."""
        return f"localhost/{self.name.rpartition('/')[2].partition(':')[0]}:{self.digest}"


def export(image: Image, archive: Path) -> None:
    """Write an image as a file, of docker's format, its layers not compressed."""
    _buildah("push", "--disable-compression", image.built, f"docker-archive:{archive}:{image.name}")


def ensure(coredns: Path, say: Say = print) -> list[Image]:
    """All images; what is missing is built first. The caller is `sandbox.alone`, as other versions are removed.

    Args:
        coredns: The program.
        say: Where to say what is made.

    Raises:
        MissingProgramError: Something cannot be had here; one line that says what to install.
    """
    with locked(cache("images"), "==> another run builds images; waiting for it", say):
        builder = _Builder(say)
        return [
            builder.of_program(containerd.PAUSE, BUSYBOX, ["/busybox", "sleep", "infinity"]),
            builder.of_program(TOOLS, BUSYBOX, ["/busybox", "sh"]),
            builder.of_program(COREDNS, coredns, ["/coredns"]),
            builder.of_repository(OPERATOR, "operator"),
            builder.of_repository(ENCODER, "encoder", "FLAVOUR=cpu"),
        ]


class _Builder:
    def __init__(self, say: Say) -> None:
        self._say = say
        _buildah("rm", "--all")  # of a build that was killed; they would keep their images
        self._there = set(_buildah("images", "--format={{.Name}}:{{.Tag}}").split())

    def of_program(self, name: str, program: Path, command: Sequence[str]) -> Image:
        """An image with one static program."""
        if not program.exists() or wants_libraries(program):
            raise MissingProgramError(f"{program} is missing or not static: install the package {program.name}-static")
        entry = ", ".join(f'"{each}"' for each in command)
        text = f"FROM scratch\nCOPY {program.name} /{program.name}\nUSER 65532:65532\nENTRYPOINT [{entry}]\n"
        image = _image(name, program.read_bytes(), text.encode())
        if image.built not in self._there:
            with tempfile.TemporaryDirectory() as context:
                shutil.copy(program, Path(context) / program.name)
                (Path(context) / "Dockerfile").write_text(text)
                self._build(image, Path(context) / "Dockerfile", Path(context))
        return image

    def of_repository(self, name: str, what: str, *arguments: str) -> Image:
        """The image of `what`, operator or encoder."""
        content = [path.read_bytes() for path in sources(what)]
        image = _image(name, *content, " ".join(arguments).encode())
        if image.built not in self._there:
            self._say(f"==> building the image of the {what} (minutes where nothing of it is kept)")
            self._base()
            wanted = [f"--build-arg={each}" for each in (f"BASE={BASE}", *arguments)]
            self._build(image, REPOSITORY / what / "Dockerfile", REPOSITORY, *wanted)
        return image

    def _base(self) -> None:
        """What `python:3-slim` is elsewhere: Debian with Python, and little else."""
        if BASE in self._there:
            return
        self._say("==> making a base image from Debian's packages")
        scratch = cache("images") / "base.unfinished"
        tools.remove(scratch)  # of a build that was killed
        scratch.mkdir()
        try:
            root = scratch / "root"
            wanted = "--include=python3,python3-venv,ca-certificates"
            # It mounts the machine's /proc and /sys there: what removes the folder shall never see them.
            tools.run_apart("debootstrap", "--variant=minbase", wanted, SUITE, str(root))
            for each in (*UNUSED, "var/cache/apt", "var/lib/apt/lists", "var/log"):
                shutil.rmtree(root / each, ignore_errors=True)
            for each in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"):
                (root / each).mkdir(parents=True)
            tools.run("tar", "-C", str(root), "--sort=name", "-cf", f"{scratch}/base.tar", ".")
            (scratch / "Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["python3"]\n')
            _buildah("bud", f"--tag={BASE}", str(scratch))
        finally:
            # Where we were told to end, debootstrap may be dying yet: the next build removes the rest.
            with suppress(MissingProgramError):
                tools.remove(scratch)
        self._there.add(BASE)

    def _build(self, image: Image, dockerfile: Path, context: Path, *arguments: str) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            settings = Path(scratch) / "uv.toml"
            settings.write_text("system-certs = true\n")
            # How this machine reaches its package index stays outside of the image.
            mounts = {settings: "/etc/uv/uv.toml", Path("/etc/ssl/certs"): "/etc/ssl/certs"}
            mounts |= {Path("/etc/pip.conf"): "/etc/pip.conf"}
            volumes = [f"--volume={ours}:{theirs}:ro" for ours, theirs in mounts.items() if ours.exists()]
            chosen = ["--layers", "--force-rm", "--isolation=chroot", "--network=host", *volumes, *arguments]
            given = [*chosen, f"--file={dockerfile}", str(context)]
            if " AS packages" in dockerfile.read_text():
                # By a name of its own it stays, for the next build, where nothing else does.
                _buildah("bud", "--target=packages", f"--tag={image.built.partition(':')[0]}-packages", *given)
            _buildah("bud", f"--tag={image.built}", *given)
        for older in (each for each in self._there if each.startswith(image.built.partition(":")[0] + ":")):
            _buildah("rmi", older)
        _buildah("rmi", "--prune")


def _image(name: str, *inputs: bytes) -> Image:
    digest = hashlib.sha256()
    for each in inputs:
        digest.update(hashlib.sha256(each).digest())
    return Image(name, digest.hexdigest()[:16])


def _buildah(command: str, *arguments: str) -> str:
    folder = cache("images")
    places = [f"--root={folder / 'storage'}", f"--runroot={folder / 'running'}", "--storage-driver=overlay"]
    return tools.run("buildah", *places, command, *arguments)


def wants_libraries(program: Path) -> bool:
    """Whether a program is not static, and so is none for an image of it alone."""
    return "=>" in subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout


def sources(what: str) -> Iterator[Path]:
    """Every file that the image of the operator or encoder is made of."""
    yield from (REPOSITORY / name for name in (*FILES, "requirements/build.txt", f"requirements/{what}.txt"))
    for name in SOURCES:
        files = (path for path in (REPOSITORY / name).rglob("*") if path.is_file())
        yield from sorted(path for path in files if "__pycache__" not in path.parts)
