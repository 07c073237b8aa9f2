"""KWOK in the place of kubelets: nodes and pods that do nothing but say what real ones would say."""

from pathlib import Path
from typing import Any

import yaml

FAKE = {"kwok.x-k8s.io/node": "fake"}
"""Annotation of nodes that KWOK plays; others it leaves alone."""
CUSTOM = {"kwok.x-k8s.io/status": "custom"}
"""Annotation of a node or a pod whose status a test writes itself. A pod with it still goes away when it is deleted."""
DELETING = "pod-delete"


def write_configuration(path: Path, stages: str) -> Path:
    """Write what KWOK's `--config` reads: the stages that it brings, which let alone what is marked with `CUSTOM`."""
    path.write_text(yaml.safe_dump_all([_sparing_custom(stage) for stage in yaml.safe_load_all(stages)]))
    return path


def _sparing_custom(stage: dict[str, Any]) -> dict[str, Any]:
    ((key, value),) = CUSTOM.items()
    if stage["metadata"]["name"] != DELETING:
        expression = {"key": f'.metadata.annotations["{key}"]', "operator": "NotIn", "values": [value]}
        stage["spec"]["selector"]["matchExpressions"].append(expression)
    return stage
