"""A kubelet's configuration, and its pods' network. Pure: values in, objects out."""

from pathlib import Path
from typing import Any

from tests.node import containerd
from tests.node.addresses import DNS, DOMAIN, Place

GPU = "nvidia.com/gpu"


def configuration(
    place: Place, folder: Path, *, authority: Path, cgroup: str, exclusive_after: int | None, gpus: bool
) -> dict[str, Any]:
    """Of a kubelet that keeps everything in `folder`.

    Args:
        place: In the network.
        folder: Of the node.
        authority: Certificate that the API server's is signed by.
        cgroup: The control group under which all pods are.
        exclusive_after: The CPU that is left to everybody: pods of quality of service `Guaranteed` with whole CPUs get
            the others for themselves. None: all pods share all CPUs.
        gpus: Whether it is a node with GPUs, on which only those who want one are tolerated.
    """
    result: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address,
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(authority)}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{containerd.socket(folder)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "podLogsDir": str(folder / "pods"),
        # The disk is the machine's, and how full it is somebody else's business.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "shutdownGracePeriod": "0s",
    }
    if exclusive_after is not None:
        result |= {"cpuManagerPolicy": "static", "reservedSystemCPUs": str(exclusive_after)}
    if gpus:
        result["registerWithTaints"] = [{"key": GPU, "value": "present", "effect": "NoSchedule"}]
    return result


def network(place: Place, folder: Path) -> dict[str, Any]:
    """The CNI configuration: a bridge for the node's pods, each with an address of its own."""
    return {
        "cniVersion": "1.0.0",
        "name": f"pods-{place.name}",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(place.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": str(folder / "addresses"),
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
