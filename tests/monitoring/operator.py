"""The real Prometheus operator: what it makes of the monitors and rules in a cluster, for a Prometheus beside it."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import definitions, go
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import Process
from tests.cluster.programs import Target
from tests.monitoring.objects import NAME, NAMESPACE, objects

MODULE = "github.com/prometheus-operator/prometheus-operator"
OPERATOR = Target("operator", "prometheus-operator", f"{MODULE}/cmd/operator", 3)
RULES = "/etc/prometheus/rules/"
"""Where the Prometheus of a pod finds files of rules."""


class PrometheusOperator:
    """It runs beside the control plane: there is no image of it here.

    Args:
        control_plane: Of the cluster; it learns of the kinds.
        folder: For everything; it is there.
    """

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        self._control_plane = control_plane
        self._folder = folder
        for file in _definitions():
            definitions.define(control_plane, file.read_text())
        token = folder / "token"
        items = objects(control_plane.server, control_plane.authority, token)
        control_plane.apply(items)
        token.write_text(control_plane.kubectl("create", "token", NAME, "--duration=24h", namespace=NAMESPACE))
        program = ["env", f"KUBECONFIG={control_plane.kubeconfig}", str(OPERATOR.find())]
        flags = ["--web.listen-address=127.0.0.1:0", "--log-level=warn"]
        self._process = Process("prometheus-operator", [*program, *flags], folder / "operator.log")

    def start(self) -> None:
        """Returns when there is a configuration.

        Raises:
            ControlPlaneError: It does not come up.
        """
        self._process.wait_until(lambda: self._packed() is not None)

    def end(self) -> None:
        """End it."""
        self._process.end()

    def configuration(self) -> dict[str, Any]:
        """Of a Prometheus that has the files of `rules` in this folder."""
        packed = self._packed()
        assert packed is not None, "started"
        text = gzip.decompress(base64.b64decode(packed)).decode()
        # What a pod's other container would put in.
        text = re.sub(r"\$\((\w+)\)", lambda name: {"SHARD": "0"}.get(name[1], NAME), text)
        return yaml.safe_load(text.replace(RULES, f"{self._folder}/rules/"))

    def rules(self) -> dict[Path, str]:
        """Files of rules."""
        wanted = ("configmaps", "-l", f"prometheus-name={NAME}", "-o", "json")
        maps = json.loads(self._control_plane.kubectl("get", *wanted, namespace=NAMESPACE))["items"]
        folder = self._folder / "rules"
        return {
            folder / each["metadata"]["name"] / name: text
            for each in maps
            for name, text in each.get("data", {}).items()
        }

    def _packed(self) -> str | None:
        secret = ("secret", f"prometheus-{NAME}", "-o", "json", "--ignore-not-found")
        found = self._control_plane.kubectl("get", *secret, namespace=NAMESPACE)
        return json.loads(found)["data"]["prometheus.yaml.gz"] if found else None


def _definitions() -> list[Path]:
    folder = go.folder_of(go.find(print), OPERATOR.source, MODULE) / "example" / "prometheus-operator-crd"
    return sorted(folder.glob("*.yaml"))
