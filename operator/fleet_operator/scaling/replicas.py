"""Setting a pool's replicas, and telling of it. How many is decided elsewhere."""

import logging
from datetime import UTC, datetime

from fleet_operator.api.pool import KIND
from fleet_operator.autoscale import Decision
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.events import Recorder, Subject
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.timestamps import write_time

log = logging.getLogger(__name__)

_LONGEST_REASON = 1024


class Replicas:
    """Sets them.

    Args:
        api: The API server.
        mirror: Told of the pool as it is then.
        recorder: Of events.
    """

    def __init__(self, api: Api, mirror: Mirror, recorder: Recorder) -> None:
        self._api = api
        self._mirror = mirror
        self._recorder = recorder

    async def set(self, key: Key, old: int, decision: Decision) -> None:
        """Do what was decided about the pool that is known by `key`, which has `old` replicas.

        Raises:
            ApiError: They are not set.
        """
        meta = self._mirror.pools[key]["metadata"]
        # Only if nobody has changed the pool in the meantime: then the decision was made of something else.
        change = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"replicas": decision.replicas}}
        await self._api.patch(KIND, *key, change, subresource="scale")
        word = "ScaledUp" if decision.replicas > old else "ScaledDown"
        said = f"{old} to {decision.replicas} replicas: {decision.reason}"
        await self._recorder.record(Subject(*key, meta["uid"]), "Normal", word, said)
        await self._remember(key, old, decision)

    async def _remember(self, key: Key, old: int, decision: Decision) -> None:
        """In the status. Where that fails they are set all the same."""
        last = {
            "time": write_time(datetime.now(UTC)),
            "oldReplicas": old,
            "newReplicas": decision.replicas,
            "reason": decision.reason[:_LONGEST_REASON],
        }
        try:
            body = await self._api.patch(KIND, *key, {"status": {"lastScale": last}}, subresource="status")
        except ApiError as error:
            log.info("%s: scaled to %d, which status.lastScale does not say: %s", key, decision.replicas, error)
            return
        self._mirror.update_pool(body)
