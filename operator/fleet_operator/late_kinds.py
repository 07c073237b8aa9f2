"""Notices kinds that the cluster gets while the operator runs: only its next start watches them."""

import asyncio
import logging

from fleet_operator.controller import Controller
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.resources import OPTIONAL
from fleet_operator.reconcile.world import World

log = logging.getLogger(__name__)


class LateKinds:
    """Asks, round after round.

    Args:
        world: Told of them.
        controller: Told to visit all pools, whose conditions say so then.
        interval: Seconds between two rounds.
    """

    def __init__(self, world: World, controller: Controller, interval: float) -> None:
        self._world = world
        self._controller = controller
        self._interval = interval

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for kind in OPTIONAL:
                if kind not in self._world.kinds | self._world.late and await self._is_there(kind):
                    log.warning("the cluster has %s now: restart the operator, so that pools get theirs", kind)
                    self._world.late |= {kind}
                    self._controller.look_at(tuple(self._world.mirror.pools))

    async def _is_there(self, kind: str) -> bool:
        try:
            return await self._world.api.serves(kind)
        except ApiError as error:
            log.info("%s: not looked for: %s", kind, error)
            return False
