"""The programs of a node: which version of each, and where it is once it is built."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import build
from tests.cluster.cache import Say
from tests.cluster.programs import Target

_CONTAINERD = "github.com/containerd/containerd/v2/cmd"

KUBELET = Target("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 2)
PROXY = Target("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 1)
CONTAINERD = Target("containerd", "containerd", f"{_CONTAINERD}/containerd", 2)
CTR = Target("ctr", "containerd", f"{_CONTAINERD}/ctr", 1)
SHIM = Target("containerd-shim-runc-v2", "containerd", f"{_CONTAINERD}/containerd-shim-runc-v2", 1)
COREDNS = Target("coredns", "coredns", "github.com/coredns/coredns", 5)
TARGETS = (KUBELET, PROXY, CONTAINERD, CTR, SHIM, COREDNS)
VERSIONS = f"kubelet {KUBELET.version}, containerd {CONTAINERD.version}, CoreDNS {COREDNS.version}"


@dataclass(frozen=True, slots=True)
class NodePrograms:
    """Where everything is. `containerd` finds its shim in its own folder."""

    kubelet: Path
    kube_proxy: Path
    containerd: Path
    ctr: Path
    coredns: Path


def ensure(say: Say = print) -> NodePrograms:
    """The programs; what is missing is built first.

    Raises:
        MissingProgramError: Something cannot be had here; one line that says what to install.
    """
    kubelet, proxy, containerd, ctr, _, coredns = build.obtain(TARGETS, say)
    return NodePrograms(kubelet, proxy, containerd, ctr, coredns)
