"""Which pods to delete first where replicas go down. Pure.

For the annotation `controller.kubernetes.io/pod-deletion-cost`: pods of lower cost go first. Costs are few and change
late, so that writing them is rare: a pod keeps its cost until its use is clearly another one.
"""

from collections.abc import Mapping

from fleet_operator.autoscale.loads import PodLoad

GOING = -100
"""Cost of a pod that serves nobody: it drains, or is not ready."""

STEPS = 4
"""Costs of serving pods: 0 for idle ones to 100 for busy ones, in so many steps."""


def deletion_costs(pods: Mapping[str, PodLoad | None], before: Mapping[str, int]) -> dict[str, int]:
    """Pod -> cost of deleting it.

    Args:
        pods: With their load; None where one has no sample. It keeps its cost: one lost sample says nothing. A pod that
            never had one is as cheap as an idle one.
        before: Costs that they have.
    """
    return {name: _cost(load, before.get(name)) for name, load in pods.items()}


def _cost(load: PodLoad | None, before: int | None) -> int:
    if load is None:
        return before or 0
    if not load.serving:
        return GOING
    exact = load.busy * 100
    size = 100 // STEPS
    if before is not None and before >= 0 and abs(exact - before) < size:
        return before
    return round(exact / size) * size
