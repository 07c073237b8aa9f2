"""What must be there before the operator can work, and what it finds of the cluster."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from fleet_operator.api.crd import APPLY, NAME, SCHEMA_ANNOTATION, crd
from fleet_operator.api.pool import KIND
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.kinds import kind_schema
from fleet_operator.kube.resources import CHILDREN, OPTIONAL, RESOURCES
from fleet_operator.metrics import Metrics

T = TypeVar("T")

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0


class NotYetError(Exception):
    """The operator cannot work yet; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, and what the operator may do with it.

    Attributes:
        kinds: Optional kinds that the cluster has.
        watched: Kinds to watch of pools.
        reads_nodes: Whether it may watch nodes.
        reads_daemons: Whether it may watch DaemonSets.
        reads_pods: Whether it may list the pods of all namespaces.
        outdated: Whether the definition in the cluster is not this operator's.
    """

    kinds: frozenset[str]
    watched: tuple[str, ...]
    reads_nodes: bool
    reads_daemons: bool
    reads_pods: bool
    outdated: bool


async def patiently(
    ask: Callable[[], Awaitable[T]], stop: asyncio.Event, say: Callable[[str], None] = lambda _: None
) -> T | None:
    """Ask until there is an answer: what is missing may come after the operator. None where `stop` was set before.

    Args:
        ask: Raises ApiError or NotYetError where there is none yet.
        stop: Set to give up.
        say: Told why it waits, whenever that is another cause.
    """
    said = ""
    while not stop.is_set():
        try:
            return await _unless(stop, ask())
        except ApiError as error:
            trouble = f"the API server does not serve: {error}"
        except NotYetError as error:
            trouble = str(error)
        if trouble != said:
            log.warning("%s; waiting", trouble)
            say(trouble)
            said = trouble
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WAIT_SECONDS)
    return None


async def _unless(stop: asyncio.Event, asked: Awaitable[T]) -> T | None:
    """The answer; None as soon as `stop` is set."""
    asking, stopping = asyncio.ensure_future(asked), asyncio.create_task(stop.wait())
    await asyncio.wait([asking, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not asking.done():
        asking.cancel()
        return None
    return asking.result()


async def find(api: Api, namespaces: tuple[str, ...], metrics: Metrics) -> Found:
    """Look at the cluster.

    Raises:
        ApiError: It cannot be looked at.
        NotYetError: There is no definition, or a kind that pools are made of may not be watched.
    """
    if not await api.serves(KIND):
        raise NotYetError(f"the cluster has no EncoderPools: {APPLY}")
    kinds = frozenset([kind for kind in OPTIONAL if await api.serves(kind)])
    watched = (KIND, "Pod", *(kind for kind in CHILDREN if kind not in OPTIONAL or kind in kinds))
    for namespace in namespaces or (None,):
        await _check_rights(api, watched, namespace)
    return Found(
        kinds=kinds,
        watched=watched,
        reads_nodes=await _may_watch(api, "Node", None),
        reads_daemons=await _may_watch(api, "DaemonSet", None),
        reads_pods=await api.allowed("list", "Pod", None),
        outdated=await outdated(api, metrics),
    )


async def _check_rights(api: Api, kinds: Collection[str], namespace: str | None) -> None:
    """A watch without its right never tells anything."""
    missing = [RESOURCES[kind].plural for kind in kinds if not await _may_watch(api, kind, namespace)]
    if missing:
        where = f" in the namespace {namespace}" if namespace else ""
        advice = "bind its role to its service account, or apply the roles of its version"
        raise NotYetError(f"the operator may not list and watch {', '.join(missing)}{where}: {advice}")


async def _may_watch(api: Api, kind: str, namespace: str | None) -> bool:
    """Whether RBAC lets us watch a kind, in one namespace or in all."""
    return all([await api.allowed(verb, kind, namespace) for verb in ("list", "watch")])


async def outdated(api: Api, metrics: Metrics) -> bool:
    """Whether the definition in the cluster is not this operator's. Helm never upgrades it."""
    try:
        there = await api.get("CustomResourceDefinition", None, NAME)
    except ApiError:
        metrics.definition_current.set(float("nan"))
        return False
    mine = crd(kind_schema)["metadata"]["annotations"][SCHEMA_ANNOTATION]
    current = ((there or {}).get("metadata", {}).get("annotations") or {}).get(SCHEMA_ANNOTATION) == mine
    metrics.definition_current.set(float(current))
    if not current:
        log.warning("the EncoderPool definition in the cluster is not this operator's: apply crds/ of its version")
    return not current
