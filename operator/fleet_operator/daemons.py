"""DaemonSets of all namespaces, for an operator that serves some: asked for, as its watches are of those it serves."""

import asyncio
import logging

from fleet_operator.controller import Controller
from fleet_operator.kube.client import Api, Object
from fleet_operator.kube.errors import ApiError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0


class DaemonSets:
    """Asks again and again; a plan that exists is kept whatever they do, so a minute is soon enough.

    Args:
        api: The API server.
        controller: Told of them.
    """

    def __init__(self, api: Api, controller: Controller) -> None:
        self._api = api
        self._controller = controller
        self._known: dict[tuple[str, str], Object] = {}

    async def ask(self) -> None:
        """Once.

        Raises:
            ApiError: They cannot be read.
        """
        found = {}
        async for body in self._api.list("DaemonSet", None):
            found[body["metadata"]["namespace"], body["metadata"]["name"]] = body
            self._controller.put("DaemonSet", body)
        for gone in self._known.keys() - found.keys():
            self._controller.remove("DaemonSet", self._known[gone])
        self._known = {key: {"metadata": body["metadata"]} for key, body in found.items()}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.ask()
            except ApiError as error:
                log.info("DaemonSets not read: %s", error)
