"""What must be there before the operator can work, and what it finds of the cluster."""

import asyncio
import contextlib
import logging

from fleet_operator.api.crd import APPLY, NAME, SCHEMA_ANNOTATION, crd
from fleet_operator.api.pool import KIND
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.kinds import kind_schema
from fleet_operator.metrics import Metrics

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0


async def may_watch(api: Api, kind: str, namespace: str | None) -> bool:
    """Whether RBAC lets us watch a kind, in one namespace or in all."""
    return all([await api.allowed(verb, kind, namespace) for verb in ("list", "watch")])


async def wait_until_served(api: Api, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Wait for the definition and the right to read pools, or for `stop`: both may come after the operator."""
    said = ""
    while not stop.is_set():
        try:
            if not await api.serves(KIND):
                trouble = f"the cluster has no EncoderPools: {APPLY}"
            elif not all([await may_watch(api, KIND, each) for each in namespaces or (None,)]):
                trouble = "the operator may not list and watch encoderpools: bind its role to its service account"
            else:
                return
        except ApiError as error:
            trouble = f"the API server does not serve: {error}"
        if trouble != said:
            log.warning("%s; waiting", trouble)
            said = trouble
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WAIT_SECONDS)


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
