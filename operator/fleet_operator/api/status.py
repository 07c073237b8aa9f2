"""What the operator tells of a pool. Only what a decision was made on: what changes every second is in metrics."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fleet_operator.api.fields import MAX_COUNT, MAX_REPLICAS, Part

Line = Annotated[str, Field(max_length=1024)]
Short = Annotated[str, Field(max_length=317)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
MAX_LOAD = 2**53
Patches = Annotated[int, Field(ge=0, le=MAX_LOAD)]


class StatusPart(Part):
    """A part of a status: made by the operator, with Python's names."""

    model_config = ConfigDict(populate_by_name=True)


class Condition(StatusPart):
    """One aspect of a pool's state, as Kubernetes' conditions are."""

    type: Annotated[str, Field(max_length=64)]
    """Which aspect."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    observed_generation: Annotated[int, Field(ge=0, le=2**53)]
    """Generation of the pool that was looked at."""
    last_transition_time: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When `status` last changed."""
    reason: Annotated[str, Field(max_length=128)]
    """Why, in one word."""
    message: Annotated[str, Field(max_length=4096)]
    """Why, in a sentence; where it is bad, what to do."""


class EnvRow(StatusPart):
    """One thread variable of a pod."""

    name: Short
    """Name."""
    value: Short
    """Value."""
    reason: Line
    """Why it has this value."""


class ShapeRow(StatusPart):
    """The nodes of one shape, the share that a replica gets of one, and the pods there."""

    name: Short
    """Name of the shape."""
    deployment: Short
    """Deployment of the pods there; empty where the pool does not use the shape."""
    nodes: Count
    """Nodes of the shape that the pool may use."""
    allocatable_cpus: Short
    """CPUs of a node that pods can have, the least of these nodes."""
    held_cpus: Short
    """Of these, held by DaemonSets."""
    reserved_cpus: Short
    """Of these, left alone as `spec.resources.reservedCpus` says."""
    gpus: Count
    """GPUs of a node, the least of these nodes."""
    cpus_per_replica: Count
    """Whole CPUs of a replica: its request, its limit, and the base of its threads."""
    gpus_per_replica: Count
    """GPUs of a replica."""
    fit: Count
    """Replicas that one empty node takes by its CPUs and GPUs; memory is not counted."""
    reason: Line
    """The arithmetic."""
    replicas: Count
    """Replicas that are to run there."""
    ready_replicas: Count
    """Replicas that are ready there."""
    env: Annotated[tuple[EnvRow, ...], Field(max_length=16, strict=False)] = ()
    """Thread variables of a replica."""


class LastScale(StatusPart):
    """The last change of `spec.replicas` by the operator."""

    time: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When."""
    old_replicas: Count
    """Before."""
    new_replicas: Count
    """After."""
    reason: Line
    """Why."""


class Load(StatusPart):
    """Load and capacity at the last decision about replicas, rounded to two digits."""

    demand_patches_per_second: Patches
    """Asked for, the refused included."""
    served_patches_per_second: Patches
    """Delivered."""
    capacity_patches_per_second: Patches
    """What the ready replicas can encode."""
    pending_patches: Patches
    """Taken in and not yet answered."""


class PoolStatus(StatusPart):
    """What is."""

    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Generation of the pool that this status is about."""
    replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Pods that there are."""
    ready_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Pods that serve."""
    selector: Annotated[str, Field(max_length=512)] = ""
    """Label selector of the pods, for autoscalers."""
    threads: Annotated[str, Field(max_length=128)] = ""
    """CPUs of a replica, by shape."""
    bottleneck: Annotated[str, Field(max_length=64)] = ""
    """Stage that limits throughput: `cpu`, `device`, or nothing where no load is."""
    model: Short = ""
    """Model that is served, and where it comes from."""
    fingerprint: Annotated[str, Field(max_length=128)] = ""
    """Fingerprint of model and processor that the replicas agree on; embeddings of different ones must not be mixed."""
    recommended_replicas: Annotated[int | None, Field(ge=0, le=MAX_REPLICAS)] = None
    """Replicas that the load asks for."""
    recommendation: Line = ""
    """Why so many."""
    last_scale: LastScale | None = None
    """The last change of `spec.replicas` by the operator."""
    load: Load | None = None
    """Load and capacity at the last decision about replicas."""
    thread_plan: Annotated[tuple[ShapeRow, ...], Field(max_length=64, strict=False)] = ()
    """How threads follow from the nodes, one row a shape."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, strict=False)] = ()
    """Ready, Progressing, ThreadsPlanned, ScalingActive, Schedulable, Healthy, ConsumersRegistered."""
