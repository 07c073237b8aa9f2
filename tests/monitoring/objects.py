"""What a cluster has of a Prometheus, for its operator to read. Pure."""

from pathlib import Path
from typing import Any

NAMESPACE = "monitoring"
NAME = "all"
VERSION = "v2.42.0"
"""Of Debian's Prometheus, for which the configuration is to be."""
SCRAPE = "5s"

SELECTED = ("podMonitor", "serviceMonitor", "rule")
RBAC = "rbac.authorization.k8s.io"
SEEN = {
    "apiGroups": ["", "discovery.k8s.io"],
    "resources": ["pods", "services", "endpoints", "endpointslices", "namespaces"],
    "verbs": ["get", "list", "watch"],
}


def objects(server: str, authority: Path, token: Path) -> list[dict[str, Any]]:
    """A Prometheus that takes all monitors and rules of all namespaces, and an account that may see what is scraped.

    Args:
        server: URL of the API server.
        authority: Certificate that the server's is signed by.
        token: File with the account's token.
    """
    here = {"name": NAME, "namespace": NAMESPACE}
    everything = {f"{kind}{what}": {} for kind in SELECTED for what in ("Selector", "NamespaceSelector")}
    spec = {
        "replicas": 0,  # it runs beside the cluster
        "version": VERSION,
        "serviceAccountName": NAME,
        "scrapeInterval": SCRAPE,
        "evaluationInterval": SCRAPE,
        "apiserverConfig": {"host": server, "bearerTokenFile": str(token), "tlsConfig": {"caFile": str(authority)}},
        **everything,
    }
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "prometheus"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus"}, "rules": [SEEN]},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prometheus"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **here}],
        },
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": here, "spec": spec},
    ]
