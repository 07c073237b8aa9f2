"""The programs of other people's autoscalers: which version of each, and where it is once it is built."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import build, go, programs
from tests.cluster.cache import MissingProgramError, Say
from tests.cluster.programs import Target

_KEDA = "github.com/kedacore/keda/v2"
_ADAPTERS = "sigs.k8s.io/custom-metrics-apiserver"

METRICS_ADAPTER = Target("metrics-adapter", "metrics-adapter", ".", 4, library=_ADAPTERS)
KEDA = Target("keda", "keda", f"{_KEDA}/cmd/operator", 12)
KEDA_ADAPTER = Target("keda-adapter", "keda", f"{_KEDA}/cmd/adapter", 1)
RIGHTS = ("Namespace", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount")


@dataclass(frozen=True, slots=True)
class KedaPrograms:
    """Where everything of KEDA is.

    Attributes:
        operator: Makes HPAs of ScaledObjects.
        adapter: Serves their metrics to the API server.
        definitions: Of its kinds, as it installs them; one YAML file.
        rights: Its namespace, account and roles, likewise.
    """

    operator: Path
    adapter: Path
    definitions: Path
    rights: Path


def ensure_metrics_adapter(say: Say = print) -> Path:
    """The metrics adapter; built first where it is missing.

    Raises:
        MissingProgramError: It cannot be had here; one line that says what to install.
    """
    (program,) = build.obtain([METRICS_ADAPTER], say)
    return program


def ensure_keda(say: Say = print) -> KedaPrograms:
    """KEDA; built first where it is missing. The control plane's programs are there.

    Raises:
        MissingProgramError: It cannot be had here; one line that says what to install.
    """
    operator, adapter = build.obtain([KEDA, KEDA_ADAPTER], say)
    definitions, rights = (KEDA.folder / f"{name}.yaml" for name in ("definitions", "rights"))
    if not (definitions.exists() and rights.exists()):
        manifests = _rendered(say)
        _write(definitions, [each for each in manifests if each["kind"] == "CustomResourceDefinition"])
        _write(rights, [each for each in manifests if each["kind"] in RIGHTS])
    return KedaPrograms(operator, adapter, definitions, rights)


def _rendered(say: Say) -> list[dict[str, Any]]:
    """What KEDA installs. Its programs are no pods here, but processes beside the API server."""
    kubectl = programs.find_tool("kubectl")
    if kubectl is None:
        raise MissingProgramError("kubectl is missing")
    folder = go.folder_of(go.find(say), KEDA.source, _KEDA) / "config" / "default"
    rendered = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(rendered))


def _write(path: Path, objects: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(yaml.safe_dump_all(objects))
    unfinished.rename(path)
