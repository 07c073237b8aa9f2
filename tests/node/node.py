"""A real node: containerd, kubelet and kube-proxy in a network namespace of its own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import Process
from tests.node import cgroups, containerd, kubelet
from tests.node.addresses import PODS, Place
from tests.node.network import within
from tests.node.programs import NodePrograms
from tests.node.sandbox import CGROUP

CONTAINERD, KUBELET, PROXY = "containerd", "kubelet", "kube-proxy"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a node shall be.

    Attributes:
        name: Of the node.
        labels: Of the node.
        gpus: How many `nvidia.com/gpu` it says it has. It has none: what a container finds there is up to it.
        shared_cpu: As `kubelet.configuration` takes `exclusive_after`.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 0
    shared_cpu: int | None = None


class Node:
    """A node, started by `start` and ended by `end`.

    Args:
        wanted: What it shall be.
        place: In the network.
        folder: For all that it keeps, images included.
        programs: What `build.ensure` gives.
        control_plane: Whose node it is.
    """

    def __init__(
        self, wanted: Wanted, place: Place, folder: Path, programs: NodePrograms, control_plane: ControlPlane
    ) -> None:
        self.wanted = wanted
        self.place = place
        self.folder = folder
        self._programs = programs
        self._control_plane = control_plane
        self._processes: dict[str, Process] = {}

    @property
    def name(self) -> str:
        """Of the node."""
        return self.wanted.name

    @property
    def cgroup(self) -> str:
        """Under which its pods are."""
        return f"{CGROUP}/{self.name}"

    def start(self) -> None:
        """Start everything; returns before the node is ready.

        Raises:
            ControlPlaneError: containerd does not come up.
        """
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        cgroups.create(self.cgroup)
        self._write("cni/10-pods.conflist", kubelet.network(self.place, self.folder))
        (self.folder / "containerd.toml").write_text(containerd.configuration(self.folder))
        self._start(CONTAINERD, str(self._programs.containerd), f"--config={self.folder / 'containerd.toml'}")
        self._processes[CONTAINERD].wait_until(containerd.socket(self.folder).exists)
        self.start_kubelet()
        self._start(PROXY, str(self._programs.kube_proxy), *self._proxy_flags())

    def start_kubelet(self) -> None:
        """Start the kubelet, at the first time or anew."""
        configuration = kubelet.configuration(
            self.place,
            self.folder,
            authority=self._control_plane.authority,
            cgroup=self.cgroup,
            exclusive_after=self.wanted.shared_cpu,
            gpus=self.wanted.gpus > 0,
        )
        path = self._write("kubelet.json", configuration)
        who = self._control_plane.kubeconfig_for_user(f"system:node:{self.name}", ("system:nodes",))
        self._start(
            KUBELET,
            str(self._programs.kubelet),
            f"--config={path}",
            f"--kubeconfig={who}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.place.address}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in self.wanted.labels.items())}",
        )

    def check(self) -> None:
        """See whether everything still runs.

        Raises:
            ControlPlaneError: Something has ended; with the end of its log.
        """
        for process in self._processes.values():
            process.check()

    def end(self) -> None:
        """End everything. Containers run on: only the end of the namespaces ends them."""
        for process in reversed(self._processes.values()):
            process.end(kill=True)

    def _proxy_flags(self) -> list[str]:
        who = self._control_plane.kubeconfig_for_user("system:kube-proxy")
        return [
            f"--kubeconfig={who}",
            f"--hostname-override={self.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={PODS}",
            # Settings of the whole machine.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]

    def _start(self, name: str, *command: str) -> None:
        path = f"PATH={self._programs.containerd.parent}:{os.environ['PATH']}"
        inside = within(self.place, ["env", path, *command])
        self._processes[name] = Process(f"{name} of {self.name}", inside, self.folder / "logs" / f"{name}.log")

    def _write(self, name: str, content: object) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1))
        return path
