"""What a pool says of its pods; none of it has an effect on one machine."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from fleet_operator.api.amounts import CountOrShare
from fleet_operator.api.borrowed import (
    EACH_NAME_ONCE,
    Affinity,
    EnvVar,
    LocalObjectReference,
    NetworkPolicyPeer,
    Toleration,
    Volume,
    VolumeMount,
)
from fleet_operator.api.fields import Annotations, DnsName, Key, Labels, Part
from fleet_operator.api.rules import BY_NAME, rules

MAX_ID = 2**31 - 1
"""Of a user or group, as Kubernetes has them."""
NOBODY = 65532
"""User and group of pods that say nothing else: what images without root call `nonroot`."""

SHAPE_LABELS = ("node.kubernetes.io/instance-type", "nvidia.com/gpu.product", "nvidia.com/gpu.count")


class Scheduling(Part):
    """On which nodes the replicas run."""

    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False, max_length=32)] = ()
    """Taints of nodes that are accepted."""
    affinity: Affinity | None = None
    """Affinity to nodes and pods. The node shape of a Deployment is required in addition."""
    runtime_class_name: DnsName | None = None
    """RuntimeClass of the pods, such as `nvidia`."""
    priority_class_name: DnsName | None = None
    """PriorityClass of the pods."""
    shape_labels: Annotated[tuple[Key, ...], Field(strict=False, max_length=8)] = SHAPE_LABELS
    """Labels whose values tell one shape of node from another. Each shape has its own threads and Deployment."""


class Rollout(Part):
    """How new pods take the place of old ones."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!(string(self.maxSurge) in ['0', '0%'] && string(self.maxUnavailable) in ['0', '0%'])",
                "must not be 0 where maxSurge is 0 too: no pod could ever be replaced",
                "maxUnavailable",
            )
        )
    )

    max_surge: CountOrShare = 0
    """Pods beyond the replicas, while rolling out. 0: a new pod needs no further GPU."""
    max_unavailable: CountOrShare = Field(default=1, validate_default=True)
    """Replicas of one shape that may be away, while rolling out and while nodes are drained."""

    @field_validator("max_unavailable")
    @classmethod
    def _some_way(cls, value: int | str, info: ValidationInfo) -> int | str:
        if value in (0, "0%") and info.data.get("max_surge") in (0, "0%"):
            raise ValueError("must not be 0 where maxSurge is 0 too: no pod could ever be replaced")
        return value


class NetworkPolicy(Part):
    """Who may connect to the encoders."""

    mode: Literal["Off", "Restrict"] = "Off"
    """`Restrict`: only consumers reach the encoders; metrics stay open, save those of SGLang. `"Off"`: all do."""
    consumers: Annotated[tuple[NetworkPolicyPeer, ...], Field(strict=False, max_length=32)] = ()
    """Peers, beside those of `spec.consumers`. Empty: every pod of the pool's namespace."""


class Monitoring(Part):
    """How Prometheus finds the encoders."""

    pod_monitor: Literal["Auto", "Off"] = "Auto"
    """`Auto`: a PodMonitor where the cluster has that kind. `"Off"`, with quotes: none."""
    labels: Labels = Field(default_factory=dict)
    """Labels of the PodMonitor, where your Prometheus selects by them."""


class PodSecurityContext(Part):
    """Who the pods are, whatever their image says; never root."""

    run_as_user: int = Field(default=NOBODY, ge=1, le=MAX_ID)
    """User of the pods, by number."""
    run_as_group: int = Field(default=NOBODY, ge=1, le=MAX_ID)
    """Group of the pods, by number."""
    fs_group: int = Field(default=NOBODY, ge=1, le=MAX_ID)
    """Group that may write to the pods' volumes, of those kinds of storage that let Kubernetes set one."""
    supplemental_groups: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_ID)], ...], Field(strict=False, max_length=16)
    ] = ()
    """Further groups of the pods, such as the owner of a shared folder, or of the GPU's device files."""


class PodTemplate(Part):
    """What is added to the pods and to their container `main`."""

    labels: Labels = Field(default_factory=dict)
    """Labels of the pods; those of encoderfleet stay as they are."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the pods."""
    env: Annotated[
        tuple[EnvVar, ...], Field(strict=False, max_length=128, json_schema_extra=BY_NAME), EACH_NAME_ONCE
    ] = ()
    """Variables of the container. One that the plan sets too is yours: its row of the thread plan says so."""
    volumes: Annotated[
        tuple[Volume, ...], Field(strict=False, max_length=32, json_schema_extra=BY_NAME), EACH_NAME_ONCE
    ] = ()
    """Volumes of the pods."""
    volume_mounts: Annotated[tuple[VolumeMount, ...], Field(strict=False, max_length=32)] = ()
    """Where the container has them."""
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], Field(strict=False, max_length=8)] = ()
    """Secrets for the image's registry."""
    security_context: PodSecurityContext = Field(default_factory=PodSecurityContext)
    """Who the pods are, whatever their image says; never root."""
