"""Definitions of other projects' kinds: the name is there, and every object is taken."""

import json
from typing import NamedTuple

from tests.cluster import definitions
from tests.cluster.control_plane import ControlPlane


class Kind(NamedTuple):
    """A kind of another project."""

    name: str
    plural: str
    group: str
    version: str


PODMONITORS = Kind("PodMonitor", "podmonitors", "monitoring.coreos.com", "v1")
SERVICEMONITORS = Kind("ServiceMonitor", "servicemonitors", "monitoring.coreos.com", "v1")
PROMETHEUSRULES = Kind("PrometheusRule", "prometheusrules", "monitoring.coreos.com", "v1")
SCALEDOBJECTS = Kind("ScaledObject", "scaledobjects", "keda.sh", "v1alpha1")


def define(control_plane: ControlPlane, *kinds: Kind) -> None:
    """Make them known to a cluster."""
    for kind in kinds:
        definitions.define(control_plane, json.dumps(_definition(kind)))


def _definition(kind: Kind) -> dict:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {"kind": kind.name, "plural": kind.plural, "singular": kind.name.lower()},
            "scope": "Namespaced",
            "versions": [
                {"name": kind.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
