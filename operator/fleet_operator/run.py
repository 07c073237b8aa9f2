"""The operator's process: what it needs, put together."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from fleet_operator.consumers.registrar import Registrar
from fleet_operator.controller import Controller
from fleet_operator.daemons import DaemonSets
from fleet_operator.handlers import watch
from fleet_operator.http import Server
from fleet_operator.kube.access import Access
from fleet_operator.kube.client import Api
from fleet_operator.kube.configuration import load_configuration
from fleet_operator.kube.events import Recorder
from fleet_operator.late_kinds import LateKinds
from fleet_operator.metrics import Metrics
from fleet_operator.observed.mirror import Mirror
from fleet_operator.observed.occupancy import Occupancy
from fleet_operator.reconcile.reconciler import Reconciler
from fleet_operator.reconcile.world import World
from fleet_operator.resync import Resync
from fleet_operator.scaling.scaler import Scaler
from fleet_operator.specs.names import MANAGER
from fleet_operator.specs.runtime import Images
from fleet_operator.starting import Found, find, patiently

log = logging.getLogger(__name__)

COMPONENT = "encoderfleet-operator"
END_SECONDS = 15.0
"""Time to end in order: half of the grace that Kubernetes gives a pod by default."""
_TAKEN_OVER_SECONDS = 1.0
"""kopf takes the signals when it starts. Once it has, they are taken back: it does not always end by its own."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator is told; see `__main__`."""

    namespaces: tuple[str, ...]
    image: str
    sglang_image: str
    http: str
    scaling_interval: float
    resync_interval: float


async def run(options: Options) -> None:
    """Run until a signal ends it.

    Raises:
        NoClusterError: There is no API server to talk to.
        AddressError: The address of /metrics cannot be bound.
    """
    metrics = Metrics()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    configuration = await load_configuration()
    async with (
        Api(configuration, MANAGER, metrics.observe_request) as api,
        Server(options.http, metrics.registry) as server,
    ):
        found = await patiently(lambda: find(api, options.namespaces, metrics), stop, server.waiting)
        if found is not None:
            await _serve(options, api, Access(configuration), server, metrics, found, stop)


async def _serve(
    options: Options, api: Api, access: Access, server: Server, metrics: Metrics, found: Found, stop: asyncio.Event
) -> None:
    mirror = Mirror()
    world = World(
        api=api,
        mirror=mirror,
        recorder=Recorder(api, COMPONENT, os.environ.get("HOSTNAME") or socket.gethostname()),
        images=Images(options.image, options.sglang_image),
        kinds=found.kinds,
        reads_nodes=found.reads_nodes,
        occupancy=Occupancy(api if found.reads_pods else None),
        outdated=found.outdated,
    )
    controller = Controller(mirror, Reconciler(world), metrics)
    scaler = Scaler(api, mirror, world.recorder, metrics, controller.look_at, options.scaling_interval)
    world.insight = scaler
    registrar = Registrar(api, mirror, metrics, controller.look_at)
    world.registrations = registrar
    controller.follower = registrar.look_at
    watched = [*found.watched]
    late = LateKinds(world, controller, options.resync_interval)
    background: list[Coroutine[Any, Any, None]] = [scaler.run(), late.run()]
    if found.reads_nodes:
        watched.append("Node")
        if found.reads_daemons and options.namespaces:
            daemons = DaemonSets(api, controller)
            await patiently(daemons.ask, stop, server.waiting)
            background.append(daemons.run())
        elif found.reads_daemons:
            watched.append("DaemonSet")
    resync = Resync(api, mirror, controller, metrics, watched, options.namespaces, options.resync_interval)

    async def compare() -> None:
        await asyncio.sleep(_TAKEN_OVER_SECONDS)
        _stop_on_signals(stop)
        await resync.in_step()
        controller.start()
        server.ready(lambda: resync.trouble)
        async with asyncio.TaskGroup() as group:
            group.create_task(registrar.run())
            await resync.run()

    where = ", ".join(options.namespaces) or "all namespaces"
    log.info("serving pools of %s; watching %s", where, ", ".join(watched))
    await _until_stopped(
        watch(controller, access, watched, options.namespaces, stop), [*background, compare()], controller, stop
    )


async def _until_stopped(
    watching: Coroutine[Any, Any, None],
    background: list[Coroutine[Any, Any, None]],
    controller: Controller,
    stop: asyncio.Event,
) -> None:
    """Until the watches end. What runs beside them never does, but by a defect; and that ends all."""
    tasks = [asyncio.create_task(each) for each in background]
    watches, stopping = asyncio.create_task(watching), asyncio.create_task(stop.wait())
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    await asyncio.wait([watches, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in tasks:
        task.cancel()
    _, late = await asyncio.wait([asyncio.create_task(controller.close()), *tasks, watches], timeout=END_SECONDS)
    if late:
        # Watches that wait for an API server that refuses them do not end by themselves, nor when they are cancelled.
        log.error("ended by force: something has not ended within %g s", END_SECONDS)
        logging.shutdown()
        os._exit(1)
    for task in (watches, *tasks):
        if not task.cancelled():
            task.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
