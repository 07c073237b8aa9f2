"""Pods become targets with the labels that Prometheus itself would give them."""

from pathlib import Path
from typing import Any

from tests.monitoring.discovery import from_files, groups


def pod(**changes: Any) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"containerPort": 5570, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "fleet", "name": "a", "uid": "u", "labels": {"encoderfleet.io/pool": "first"}},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "main", "image": "i", "ports": ports}, {"name": "b", "image": "i"}],
        },
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
        **changes,
    }


def test_each_port_is_a_target() -> None:
    first, second = groups([pod()])
    assert (first["targets"], second["targets"]) == (["10.0.0.1:8080"], ["10.0.0.1:5570"])
    assert first["labels"]["__meta_kubernetes_pod_container_port_name"] == "http"
    assert second["labels"]["__meta_kubernetes_pod_container_port_name"] == ""


def test_labels_are_as_prometheus_has_them() -> None:
    labels = groups([pod()])[0]["labels"]
    assert labels["__meta_kubernetes_pod_label_encoderfleet_io_pool"] == "first"
    assert labels["__meta_kubernetes_pod_labelpresent_encoderfleet_io_pool"] == "true"
    assert labels["__meta_kubernetes_pod_ready"] == "true"
    assert labels["__meta_kubernetes_pod_phase"] == "Running"
    assert set(map(type, labels.values())) == {str}


def test_a_pod_without_an_address_is_no_target() -> None:
    assert groups([pod(status={"phase": "Pending"})]) == []


def test_a_discovery_of_pods_becomes_files_and_the_rest_stays() -> None:
    job = {
        "job_name": "j",
        "relabel_configs": [1],
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": ["a", "b"]}}],
    }
    made = from_files({"global": {"x": 1}, "scrape_configs": [job]}, Path("/f"))
    (one,) = made["scrape_configs"]
    assert one["file_sd_configs"][0]["files"] == ["/f/a.json", "/f/b.json"]
    assert (made["global"], one["relabel_configs"], "kubernetes_sd_configs" in one) == ({"x": 1}, [1], False)
