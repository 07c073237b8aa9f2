"""What a user has on the cluster: the chart, a namespace with a volume of models, and a pod to ask encoders from."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.processes import Process
from tests.cluster.programs import find_tool
from tests.end_to_end.objects import MEDIA, NAMESPACE, Object, client_pod, endpoint, no_driver, volume
from tests.node import cgroups
from tests.node.cluster import NodeCluster
from tests.node.sandbox import CGROUP

from charting.chart import RESTRICTED, Release
from fleet_operator.specs.names import POOL_LABEL
from operating.operator_process import until

CLIENT = "client"
PATIENCE = 400
"""Seconds: an encoder that starts beside another takes a minute, on two slow cores that others use too."""
WAIT = f"--timeout={PATIENCE}s"
"""For kubectl."""


class Site:
    """The namespace `fleet`, in which everything is.

    Args:
        cluster: The real one.
        models: Folder of models on every node.
        media: Name -> folder of media on every node, which the client sees as `/media/<name>`.
    """

    def __init__(self, cluster: NodeCluster, models: Path, media: dict[str, Path]) -> None:
        self.cluster = cluster
        self.control_plane = cluster.control_plane
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
        self.apply(namespace)
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        self.apply(*no_driver())
        self.release = Release(self.control_plane, NAMESPACE)
        self.apply(*volume("models", models))
        for name, folder in media.items():
            self.apply(*volume(name, folder))
        self.apply(client_pod(CLIENT, sorted(media), ["sleep", "infinity"]))

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in the namespace."""
        return self.control_plane.kubectl(*arguments, namespace=NAMESPACE, **options)

    def apply(self, *objects: Object) -> None:
        """`kubectl apply`."""
        self.control_plane.apply(objects)

    def get(self, *what: str) -> Any:
        """Objects as JSON."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def pods(self, pool: str) -> list[Object]:
        """Of a pool, those that are not going."""
        found = self.get("pods", "-l", f"{POOL_LABEL}={pool}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def apply_pool(self, name: str, spec: Object) -> None:
        """An EncoderPool."""
        meta = {"name": name, "namespace": NAMESPACE}
        self.apply({"apiVersion": "encoderfleet.io/v1alpha1", "kind": "EncoderPool", "metadata": meta, "spec": spec})

    def settled(self, pool: str, replicas: int) -> None:
        """Wait until the operator has seen the pool as it is now, and has brought about so many ready replicas."""
        generation = self.get("encp", pool)["metadata"]["generation"]
        self.kubectl("wait", f"--for=jsonpath={{.status.observedGeneration}}={generation}", f"encp/{pool}", WAIT)
        self.kubectl("wait", "--for=condition=Progressing=False", f"encp/{pool}", WAIT)
        self.kubectl("wait", f"--for=jsonpath={{.status.readyReplicas}}={replicas}", f"encp/{pool}", WAIT)
        # The status may be of a moment ago. `kubectl wait` would wait for a pod that goes meanwhile, until it gives up.
        until(
            lambda: [_is_ready(pod) for pod in self.pods(pool)] == [True] * replicas,
            why=lambda: f"the pool {pool} has no {replicas} ready pods after {PATIENCE} s",
            patience=PATIENCE,
        )

    def group(self, pod: Object) -> Path:
        """The control group of the pod's container, which knows its CPU time."""
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        (group,) = cgroups.of_cpu_time(CGROUP).rglob(container)
        return group

    def pid(self, pod: Object) -> int:
        """The first process of the pod's container, as this machine numbers it."""
        return int((self.group(pod) / "cgroup.procs").read_text().split()[0])

    @contextmanager
    def forwarded(self, what: str, port: int) -> Iterator[str]:
        """A `host:port` outside of the cluster that leads to a Service or pod, by `kubectl port-forward`."""
        log = self.cluster.folder / "port-forward.log"
        log.unlink(missing_ok=True)
        flags = (f"--kubeconfig={self.control_plane.kubeconfig}", f"--namespace={NAMESPACE}")
        command = [str(find_tool("kubectl")), "port-forward", *flags, what, f":{port}"]
        process = Process("port-forward", command, log)
        try:
            process.wait_until(lambda: "Forwarding from" in log.read_text())
            (found, *_) = re.findall(r"Forwarding from (127\.0\.0\.1:\d+)", log.read_text())
            yield found
        finally:
            process.end()

    def encode(self, *media: str, pool: str, check: bool = True) -> str:
        """What `encoderfleet encode` prints in the client's pod."""
        files = [f"{MEDIA}/{each}" for each in media]
        program = ("encoderfleet", "encode", "--endpoint", endpoint(pool))
        return self.kubectl("exec", CLIENT, "--", *program, *files, check=check)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
