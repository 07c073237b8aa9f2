"""CPUs that pods hold on a node which are neither a DaemonSet's nor come with a share of its GPUs.

Asked for when a shape is planned, node by node: to watch every pod of a cluster would cost far more than it tells.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import median_low
from typing import Any

from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.nodes.requests import cpu_request, devices
from fleet_operator.observed.mirror import Key
from fleet_operator.specs.names import POOL_LABEL

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A pod on a node: the pool that it is of, if any, its CPUs, and the devices that it has."""

    pool: Key | None
    cpus: Decimal
    devices: frozenset[str]


class Occupancy:
    """What is held on nodes. An answer is used for a minute, as pools that are planned together look at the same nodes.

    Args:
        api: The API server; None where the pods of other namespaces may not be read: then nothing is held.
    """

    def __init__(self, api: Api | None) -> None:
        self._api = api
        self._known: dict[str, tuple[float, tuple[Holder, ...]]] = {}

    async def held(self, nodes: Iterable[str], device: str, pool: Key) -> Decimal:
        """CPUs that others than `pool` hold on one node: the lower median over `nodes`, a few of a shape.

        A median, as one busy node shall not take threads from all others: on that one, fewer replicas fit.

        Raises:
            ApiError: It cannot be asked at the moment.
        """
        amounts = []
        for holders in await asyncio.gather(*map(self._holders, nodes)):
            others = [each for each in holders if each.pool != pool and device not in each.devices]
            amounts.append(sum((each.cpus for each in others), Decimal(0)))
        return median_low(amounts) if amounts else Decimal(0)

    async def _holders(self, node: str) -> tuple[Holder, ...]:
        if self._api is None:
            return ()
        now = time.monotonic()
        known = self._known.get(node)
        if known is None or now - known[0] > FRESH_SECONDS:
            holders = await self._ask(self._api, node)
            self._known = {name: each for name, each in self._known.items() if now - each[0] <= FRESH_SECONDS}
            known = self._known[node] = (now, holders)
        return known[1]

    async def _ask(self, api: Api, node: str) -> tuple[Holder, ...]:
        # From the API server's memory, where pods are by node; what it has not heard of yet is too new to matter.
        try:
            found = api.list("Pod", None, fieldSelector=f"spec.nodeName={node}", resourceVersion="0")
            pods = [each async for each in found]
        except ApiError as error:
            if error.passing:
                raise  # the plan is kept for as long as there are pods: better late than wrong
            log.warning("pods of node %s not read, so they hold nothing: %s", node, error)
            return ()
        return tuple(holder for pod in pods if (holder := read_holder(pod)))


def read_holder(pod: Mapping[str, Any]) -> Holder | None:
    """What a pod holds; None where it is over, or counted by its DaemonSet. Pure."""
    meta = pod["metadata"]
    over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if over or any(each["kind"] == "DaemonSet" for each in meta.get("ownerReferences") or ()):
        return None
    name = (meta.get("labels") or {}).get(POOL_LABEL)
    return Holder(Key(meta["namespace"], name) if name else None, cpu_request(pod["spec"]), devices(pod["spec"]))
