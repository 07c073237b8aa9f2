"""A node of a shape -> the CPUs and GPUs of one replica there, and why. Pure.

    usable CPUs of a node = allocatable - held by DaemonSets and others - spec.resources.reservedCpus, rounded down
    with GPUs:    CPUs of a replica = usable x its GPUs / the node's GPUs, rounded down, at most spec.resources.cpus
    without:      CPUs of a replica = spec.resources.cpus rounded down, else all that are usable

Whole CPUs, as only they are exclusive under the static CPU manager, and as thread counts over a quota cost far more
than they bring.
"""

from dataclasses import dataclass
from decimal import Decimal

from fleet_operator.api.parts import Resources
from fleet_operator.nodes.shapes import Shape
from fleet_operator.quantity import format_quantity


@dataclass(frozen=True, slots=True)
class Share:
    """What one replica gets of a node.

    Attributes:
        cpus: Whole CPUs; 0 where the node is too small for one.
        gpus: GPUs.
        fit: Replicas that an empty node takes.
        reason: The arithmetic, in one line.
    """

    cpus: int
    gpus: int
    fit: int
    reason: str


def share(shape: Shape, others: Decimal, resources: Resources) -> Share:
    """The share of a replica.

    Args:
        shape: The nodes.
        others: CPUs of a node that pods hold which are neither of a DaemonSet nor have a share of GPUs.
        resources: The pool's wishes.
    """
    usable = max(0, int(shape.cpus - shape.held - others - resources.reserved_cpus))
    arithmetic = _usable(shape, others, resources.reserved_cpus, usable)
    asked = None if resources.cpus is None else max(1, int(resources.cpus))
    gpus = 0 if shape.gpus == 0 else 1 if resources.gpus is None else resources.gpus
    if gpus:
        part = usable * gpus // shape.gpus
        arithmetic += f"; x {gpus}/{shape.gpus} GPUs = {part}"
        cpus = part if asked is None else min(part, asked)
        fit = shape.gpus // gpus
    elif asked is None:
        cpus, fit = usable, 1
        arithmetic += "; one replica takes a node: set spec.resources.cpus for several on each"
    else:
        cpus = min(usable, asked)
        fit = usable // cpus if cpus else 0
    if asked is not None:
        arithmetic += f"; spec.resources.cpus: {format_quantity(resources.cpus or 0)}"
        arithmetic += "" if cpus == asked else f", a node gives {cpus}"
    return Share(cpus, gpus, fit if cpus else 0, arithmetic)


def blind_share(resources: Resources) -> Share | None:
    """The share where no node can be looked at: what the pool says itself. None where it does not."""
    if resources.cpus is None:
        return None
    cpus = max(1, int(resources.cpus))
    return Share(cpus, resources.gpus or 0, 0, f"spec.resources.cpus: {format_quantity(resources.cpus)}")


def _usable(shape: Shape, others: Decimal, reserved: Decimal, usable: int) -> str:
    terms = [f"{format_quantity(shape.cpus)} allocatable"]
    for amount, what in ((shape.held, "DaemonSets"), (others, "other pods"), (reserved, "reserved")):
        if amount:
            terms.append(f"{format_quantity(amount)} {what}")
    return f"{' - '.join(terms)} = {usable}"
