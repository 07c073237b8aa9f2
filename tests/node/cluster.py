"""A real cluster on this machine: a control plane and nodes that run containers. Only inside of `sandbox`."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.control_plane import ControlPlane
from tests.cluster.programs import Programs
from tests.node import dns, kubelet, network, stores
from tests.node.addresses import CONTROL_PLANE, Place
from tests.node.node import Node, Wanted
from tests.node.programs import NodePrograms
from tests.node.sandbox import INSIDE


class NodeCluster:
    """A control plane with real nodes and DNS, started by `with`.

    Args:
        programs: Of the control plane.
        node_programs: Of the nodes.
        store: What `stores.ensure` gives.
        folder: For everything; on the file system of the store, whose files it shares.
        wanted: The nodes.
    """

    def __init__(
        self, programs: Programs, node_programs: NodePrograms, store: Path, folder: Path, wanted: Sequence[Wanted]
    ) -> None:
        if INSIDE not in os.environ:
            raise RuntimeError("real nodes change the machine: start this by `python -m tests.node run`")
        self.folder = folder
        self.control_plane = ControlPlane(programs, folder / "control-plane", address=CONTROL_PLANE, kubelets=True)
        places = [Place(each.name, number) for number, each in enumerate(wanted)]
        network.connect(places)
        self.nodes: dict[str, Node] = {}
        for each, place in zip(wanted, places, strict=True):
            own = folder / each.name
            own.mkdir()
            stores.copy(store, own)
            self.nodes[each.name] = Node(each, place, own, node_programs, self.control_plane)

    def __enter__(self) -> Self:
        """Start everything; all nodes are ready then.

        Raises:
            ControlPlaneError: Something does not come up.
        """
        try:
            self.control_plane.__enter__()
            for node in self.nodes.values():
                node.start()
            self._wait_for_nodes()
            self.control_plane.apply(dns.objects())
            self.control_plane.kubectl(
                "rollout", "status", "deployment/coredns", "--timeout=120s", namespace="kube-system"
            )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything but the containers, which the end of the namespaces ends."""
        for node in self.nodes.values():
            node.end()
        self.control_plane.close()

    def _wait_for_nodes(self) -> None:
        kubectl = self.control_plane.kubectl
        for node in self.nodes.values():
            kubectl("wait", "--for=create", f"node/{node.name}", "--timeout=120s")
            kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=120s")
            if node.wanted.gpus:
                capacity = json.dumps({"status": {"capacity": {kubelet.GPU: str(node.wanted.gpus)}}})
                kubectl("patch", "node", node.name, "--subresource=status", "--type=merge", "--patch", capacity)
                allocatable = "{.status.allocatable." + kubelet.GPU.replace(".", r"\.") + "}"
                kubectl(
                    "wait", f"--for=jsonpath={allocatable}={node.wanted.gpus}", f"node/{node.name}", "--timeout=120s"
                )
