"""The operator's process: what it needs, put together."""

import asyncio
import logging
import os
import socket
from dataclasses import dataclass

from fleet_operator.api.crd import NAME, SCHEMA_ANNOTATION, crd
from fleet_operator.api.pool import KIND
from fleet_operator.controller import Controller
from fleet_operator.handlers import watch
from fleet_operator.http import Server
from fleet_operator.kube.client import Api, load_configuration
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Recorder
from fleet_operator.kube.kinds import kind_schema
from fleet_operator.kube.resources import CHILDREN, OPTIONAL
from fleet_operator.metrics import Metrics
from fleet_operator.observed.mirror import Mirror
from fleet_operator.observed.occupancy import Occupancy
from fleet_operator.reconcile.reconciler import Reconciler, World
from fleet_operator.scaling.scaler import Scaler
from fleet_operator.specs.names import MANAGER
from fleet_operator.specs.runtime import Images

log = logging.getLogger(__name__)

COMPONENT = "encoderfleet-operator"
WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator is told; see `__main__`."""

    namespaces: tuple[str, ...]
    image: str
    sglang_image: str
    http: str
    scaling_interval: float


async def run(options: Options) -> None:
    """Run until a signal ends it.

    Raises:
        OSError: The address of /metrics cannot be bound.
    """
    metrics = Metrics()
    stop = asyncio.Event()
    async with (
        Api(await load_configuration(), MANAGER, metrics.observe_request) as api,
        Server(options.http, metrics.registry) as server,
    ):
        await _wait_until_served(api, options.namespaces)
        kinds = frozenset([kind for kind in OPTIONAL if await api.serves(kind)])
        reads_nodes = await _may_watch(api, "Node", None)
        mirror = Mirror()
        world = World(
            api=api,
            mirror=mirror,
            recorder=Recorder(api, COMPONENT, os.environ.get("HOSTNAME") or socket.gethostname()),
            images=Images(options.image, options.sglang_image),
            kinds=kinds,
            reads_nodes=reads_nodes,
            occupancy=Occupancy(api if await api.allowed("list", "Pod", None) else None),
            outdated=await _outdated(api, metrics),
        )
        controller = Controller(mirror, Reconciler(world), metrics)
        world.insight = scaler = Scaler(
            api, mirror, world.recorder, metrics, controller.look_at, options.scaling_interval
        )
        watched = [KIND, "Pod", *(kind for kind in CHILDREN if kind not in OPTIONAL or kind in kinds)]
        if reads_nodes:
            watched.append("Node")
            if await _may_watch(api, "DaemonSet", None):
                watched.append("DaemonSet")
        server.ready(lambda: "")
        where = ", ".join(options.namespaces) or "all namespaces"
        log.info("serving pools of %s; watching %s", where, ", ".join(watched))
        scaling = asyncio.create_task(scaler.run())
        scaling.add_done_callback(lambda _: stop.set())
        try:
            await watch(controller, watched, options.namespaces, stop)
        finally:
            scaling.cancel()
            await controller.close()
        await asyncio.wait([scaling])
        if not scaling.cancelled():
            scaling.result()


async def _may_watch(api: Api, kind: str, namespace: str | None) -> bool:
    return all([await api.allowed(verb, kind, namespace) for verb in ("list", "watch")])


async def _wait_until_served(api: Api, namespaces: tuple[str, ...]) -> None:
    """Wait for the definition and the right to read pools: both may come after the operator."""
    said = ""
    while True:
        try:
            if not await api.serves(KIND):
                trouble = "the cluster has no EncoderPools: kubectl apply --server-side -f crds/"
            elif not all([await _may_watch(api, KIND, each) for each in namespaces or (None,)]):
                trouble = "the operator may not list and watch encoderpools: bind its role to its service account"
            else:
                return
        except ApiError as error:
            trouble = f"the API server does not serve: {error}"
        if trouble != said:
            log.warning("%s; waiting", trouble)
            said = trouble
        await asyncio.sleep(WAIT_SECONDS)


async def _outdated(api: Api, metrics: Metrics) -> bool:
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
