"""The programs of a control plane: which version of each, and where it is once it is built."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import wheels
from tests.cluster.cache import MODULES, folder

STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
"""Of KWOK's ways to pretend: all at once, without the delays of a kubelet."""


@dataclass(frozen=True, slots=True)
class Target:
    """One program that is built from source.

    Attributes:
        name: Of the program.
        module: Folder under `modules/`.
        package: What to build there.
        minutes: How long that takes with nothing cached, on two slow cores.
        library: Whose version it has, where the program is our own.
    """

    name: str
    module: str
    package: str
    minutes: int
    library: str = ""

    @property
    def source(self) -> Path:
        """Folder of the module that pins it."""
        return MODULES / self.module

    @property
    def version(self) -> str:
        """As its module says."""
        named = f"{self.library or self.package}/"
        found = re.findall(r"^\s*(?:require )?(\S+) v(\S+)", (self.source / "go.mod").read_text(), re.M)
        return next(version for path, version in found if named.startswith(f"{path}/"))

    @property
    def flags(self) -> tuple[str, ...]:
        """Of `go build`. Kubernetes is told its version, as its own build scripts would."""
        major, minor, *_ = self.version.split(".")
        name = "k8s.io/component-base/version.git"
        variables = {"Version": f"v{self.version}", "Major": major, "Minor": minor}
        stamps = "".join(f" -X {name}{key}={value}" for key, value in variables.items())
        # containerd without file systems that want C libraries; nobody else knows these tags.
        tags = ("-tags", "no_btrfs,no_zfs,no_devmapper") if self.module == "containerd" else ()
        return "-trimpath", *tags, "-ldflags", "-s -w" + (stamps if self.module == "kubernetes" else "")

    @property
    def folder(self) -> Path:
        """Where its module's programs are kept."""
        files = [self.source / "go.mod", self.source / "go.sum", *sorted(self.source.glob("*.go"))]
        return folder(self.module, *(file.read_bytes() for file in files), " ".join(self.flags).encode())

    def find(self) -> Path | None:
        """The program where it is there."""
        return _first(self.name, assets(), self.folder)


ETCD = Target("etcd", "etcd", "go.etcd.io/etcd/server/v3", 1)
API_SERVER = Target("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 7)
CONTROLLERS = Target("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 3)
SCHEDULER = Target("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 1)
KWOK = Target("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", 2)
TARGETS = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KWOK)
VERSIONS = f"etcd {ETCD.version}, Kubernetes {API_SERVER.version}, KWOK {KWOK.version}"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where everything is.

    Attributes:
        stages: KWOK's stages, as one YAML file.
    """

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    stages: Path
    kubectl: Path
    helm: Path


def find() -> Programs | None:
    """The programs, where all are there."""
    built = {target.name.replace("-", "_"): target.find() for target in TARGETS}
    every = built | {"kubectl": find_tool("kubectl"), "helm": find_tool("helm")}
    there = {name: path for name, path in every.items() if path is not None}
    return Programs(**there, stages=stages()) if there == every and stages().exists() else None


def find_tool(name: str) -> Path | None:
    """kubectl or helm, where it is there."""
    # There is a wheel for one kind of machine only; on others PATH is looked at.
    on_path = None if wheels.fits() else shutil.which(name)
    return _first(name, assets(), wheels.kubectl_folder()) or (Path(on_path) if on_path else None)


def stages() -> Path:
    """KWOK's stages, beside KWOK."""
    return KWOK.folder / f"{'-'.join(STAGES).replace('/', '-')}.yaml"


def assets() -> Path | None:
    """Where `KUBEBUILDER_ASSETS` points: programs that somebody has already, of whatever version."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(named) if named else None


def _first(name: str, *folders: Path | None) -> Path | None:
    candidates = (each / name for each in folders if each is not None)
    return next((path for path in candidates if os.access(path, os.X_OK)), None)
