"""Kinds that the operator touches, and where the API has them."""

from dataclasses import dataclass
from urllib.parse import quote

from fleet_operator.api.crd import PLURAL
from fleet_operator.api.pool import API_VERSION, KIND


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's place in the API."""

    api_version: str
    plural: str

    @property
    def group(self) -> str:
        """API group; empty for the core one."""
        return self.api_version.partition("/")[0] if "/" in self.api_version else ""

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path of the collection, of one object or of a part of it."""
        steps = ["apis" if self.group else "api", self.api_version]
        if namespace is not None:
            steps += ["namespaces", quote(namespace, safe="")]
        steps.append(self.plural)
        steps += [quote(step, safe="") for step in (name, subresource) if step is not None]
        return "/" + "/".join(steps)


RESOURCES = {
    KIND: Resource(API_VERSION, PLURAL),
    "CustomResourceDefinition": Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "DaemonSet": Resource("apps/v1", "daemonsets"),
    "Deployment": Resource("apps/v1", "deployments"),
    "Event": Resource("v1", "events"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "NetworkPolicy": Resource("networking.k8s.io/v1", "networkpolicies"),
    "Node": Resource("v1", "nodes"),
    "Pod": Resource("v1", "pods"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "PodMonitor": Resource("monitoring.coreos.com/v1", "podmonitors"),
    "ScaledObject": Resource("keda.sh/v1alpha1", "scaledobjects"),
    "SelfSubjectAccessReview": Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
    "Service": Resource("v1", "services"),
    "ServiceAccount": Resource("v1", "serviceaccounts"),
}

CHILDREN = (
    "ServiceAccount",
    "Service",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodMonitor",
    "ScaledObject",
)
"""What a pool may own, in the order in which it is applied: what pods need comes before them."""
UNLABELLED = frozenset({KIND, "Node", "DaemonSet"})
"""Kinds of which all objects are watched; of the others, those that belong to pools."""
DISPOSABLE = frozenset({"NetworkPolicy", "Deployment", "HorizontalPodAutoscaler", "PodMonitor", "ScaledObject"})
"""Kinds that a pool may have no use for any more. The others it has as long as it is there."""
OPTIONAL = ("PodMonitor", "ScaledObject")
"""Kinds that a cluster may lack."""
