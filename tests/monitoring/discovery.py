"""What Prometheus would learn of pods from the API server. Pure.

Debian's Prometheus is built without Kubernetes' service discovery, and reads its targets from files instead. The labels
are those that Prometheus documents for the role `pod`, so that what monitors say of them holds as it is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Object = Mapping[str, Any]
META = "__meta_kubernetes"


def from_files(configuration: Object, folder: Path) -> dict[str, Any]:
    """The configuration with a file in place of each discovery of pods: `folder`/NAMESPACE.json."""
    jobs = []
    for job in configuration.get("scrape_configs") or ():
        files = []
        for discovery in job["kubernetes_sd_configs"]:
            assert discovery["role"] == "pod", f"{job['job_name']}: only PodMonitors are in use"
            files += [str(folder / f"{name}.json") for name in discovery["namespaces"]["names"]]
        kept = {name: value for name, value in job.items() if name != "kubernetes_sd_configs"}
        jobs.append({**kept, "file_sd_configs": [{"files": files, "refresh_interval": "1s"}]})
    return {**configuration, "scrape_configs": jobs}


def groups(pods: Iterable[Object]) -> list[dict[str, Any]]:
    """Targets of all ports of pods that have an address, as a file of targets has them."""
    return [group for pod in pods if pod["status"].get("podIP") for group in _of_pod(pod)]


def _of_pod(pod: Object) -> Iterator[dict[str, Any]]:
    meta, address = pod["metadata"], pod["status"]["podIP"]
    ready = (each["status"] for each in pod["status"].get("conditions") or () if each["type"] == "Ready")
    labels = {
        f"{META}_namespace": meta["namespace"],
        f"{META}_pod_name": meta["name"],
        f"{META}_pod_uid": meta["uid"],
        f"{META}_pod_ip": address,
        f"{META}_pod_phase": pod["status"]["phase"],
        f"{META}_pod_ready": next(ready, "unknown").lower(),
        f"{META}_pod_node_name": pod["spec"].get("nodeName", ""),
    }
    for kind in ("label", "annotation"):
        for name, value in (meta.get(f"{kind}s") or {}).items():
            safe = re.sub(r"[^a-zA-Z0-9_]", "_", name)
            labels |= {f"{META}_pod_{kind}_{safe}": value, f"{META}_pod_{kind}present_{safe}": "true"}
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            of_port = {
                f"{META}_pod_container_name": container["name"],
                f"{META}_pod_container_image": container["image"],
                f"{META}_pod_container_port_name": port.get("name", ""),
                f"{META}_pod_container_port_number": str(port["containerPort"]),
                f"{META}_pod_container_port_protocol": port.get("protocol", "TCP"),
                f"{META}_pod_container_init": "false",
            }
            yield {"targets": [f"{address}:{port['containerPort']}"], "labels": labels | of_port}
