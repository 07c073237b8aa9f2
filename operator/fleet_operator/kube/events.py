"""Events of a pool: what `kubectl describe` shows. Best effort, and never the same one twice within minutes."""

import logging
import time
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from typing import NamedTuple

from fleet_operator.api.pool import API_VERSION, KIND
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError
from fleet_operator.timestamps import write_time

log = logging.getLogger(__name__)

SILENCE_SECONDS = 600.0
REMEMBERED = 4096
_LONGEST_MESSAGE = 1024


class Subject(NamedTuple):
    """The pool that an event is about."""

    namespace: str
    name: str
    uid: str


class Recorder:
    """Writes events.

    Args:
        api: The API server.
        component: Who says it, such as `encoderfleet-operator`.
        instance: Which of them: the pod's name.
    """

    def __init__(self, api: Api, component: str, instance: str) -> None:
        self._api = api
        self._component = component
        self._instance = instance
        self._said: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def record(self, subject: Subject, kind: str, reason: str, message: str) -> None:
        """Write one event, unless the pool has had the same lately; it is no error where that fails.

        Args:
            subject: The pool.
            kind: `Normal` or `Warning`.
            reason: One word.
            message: A sentence.
        """
        namespace, name, uid = subject
        if not self._is_new((uid, reason, message)):
            return
        log.log(
            logging.WARNING if kind == "Warning" else logging.INFO, "%s/%s: %s: %s", namespace, name, reason, message
        )
        moment = write_time(datetime.now(UTC))
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": name,
                "namespace": namespace,
                "uid": uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:_LONGEST_MESSAGE],
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }
        try:
            await self._api.create(body)
        except ApiError as error:
            log.info("%s/%s: event %s not written: %s", namespace, name, reason, error)

    def _is_new(self, what: tuple[str, str, str]) -> bool:
        now = time.monotonic()
        last = self._said.get(what)
        if last is not None and now - last < SILENCE_SECONDS:
            return False
        self._said[what] = now
        self._said.move_to_end(what)
        while len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return True
