"""What happens in the cluster -> which pools are visited. Fed by watches, whoever makes them."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet_operator.api.pool import KIND
from fleet_operator.kube.errors import ApiError
from fleet_operator.kube.resources import CHILDREN
from fleet_operator.metrics import Metrics
from fleet_operator.observed.children import read_child
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.reconcile.queue import Queue
from fleet_operator.reconcile.reconciler import Reconciler
from fleet_operator.specs.names import POOL_LABEL

WORKERS = 16
"""Pools that are visited side by side; a visit is mostly waiting for the API server."""
REST_SECONDS = 0.2

Body = Mapping[str, Any]

log = logging.getLogger(__name__)


class Controller:
    """Keeps the mirror and the queue of pools to visit.

    Args:
        mirror: What is known.
        reconciler: Visits.
        metrics: Told of visits and events.

    Attributes:
        follower: Told of pools that were changed, or whose pods were, at once.
    """

    def __init__(self, mirror: Mirror, reconciler: Reconciler, metrics: Metrics) -> None:
        self.follower: Callable[[Iterable[Key]], None] = lambda _: None
        self._mirror = mirror
        self._reconciler = reconciler
        self._metrics = metrics
        self._queue = Queue(self._visit, workers=WORKERS, rest=REST_SECONDS, ordinary=(ApiError,))
        self._started = False
        self._throttled: set[Key] = set()
        metrics.queue_depth.set_function(lambda: len(self._queue))

    def start(self) -> None:
        """All that there is is known: visit. Before that, a plan would be made of half a cluster."""
        self._started = True
        self.look_at(tuple(self._mirror.pools))

    def look_at(self, keys: Iterable[Key]) -> None:
        """Visit these pools."""
        for key in keys if self._started else ():
            if key in self._mirror.pools:
                self._queue.add(key)

    def put(self, kind: str, body: Body) -> None:
        """An object is new, or was changed."""
        self._metrics.observe_event(kind)
        mirror = self._mirror
        if kind == KIND:
            self._tell_of(_some(mirror.put_pool(body)))
        elif kind == "Node":
            self.look_at(mirror.put_node(body))
        elif kind == "DaemonSet":
            self.look_at(mirror.pools if mirror.put_daemon(body) else ())
        elif kind == "Pod":
            self._tell_of(mirror.put_pod(body))
        elif kind in CHILDREN:
            self.look_at(mirror.put_child(read_child(kind, body)))

    def remove(self, kind: str, body: Body) -> None:
        """An object is gone."""
        self._metrics.observe_event(kind)
        mirror, meta = self._mirror, body["metadata"]
        pool = (meta.get("labels") or {}).get(POOL_LABEL, "")
        if kind == KIND:
            for key in _some(mirror.remove_pool(meta["namespace"], meta["name"], meta["uid"])):
                self._queue.forget(key)
                self._metrics.pools.forget(key)
                self.follower([key])
        elif kind == "Node":
            self.look_at(mirror.remove_node(meta["name"]))
        elif kind == "DaemonSet":
            self.look_at(mirror.pools if mirror.remove_daemon(meta["namespace"], meta["name"]) else ())
        elif kind == "Pod":
            self._tell_of(_some(mirror.remove_pod(meta["namespace"], meta["name"])))
        elif kind in CHILDREN:
            self.look_at([mirror.remove_child(kind, meta["namespace"], meta["name"], pool, meta["uid"])])

    def _tell_of(self, keys: Iterable[Key]) -> None:
        keys = tuple(keys)
        self.follower(keys)
        self.look_at(keys)

    async def close(self) -> None:
        """Let visits end."""
        await self._queue.close()

    async def _visit(self, key: Key) -> float | None:
        begin = time.monotonic()
        try:
            again = await self._reconciler.visit(key)
        except ApiError as error:
            self._metrics.reconcile_errors.inc()
            if error.retry_after is not None:
                self._say_throttled(key, error)
                return error.retry_after
            raise
        except Exception:
            self._metrics.reconcile_errors.inc()
            raise
        finally:
            self._metrics.reconcile_seconds.observe(time.monotonic() - begin)
            self._tell(key)
        self._throttled.discard(key)
        return again

    def _say_throttled(self, key: Key, error: ApiError) -> None:
        """Once for each time that a pool is held up: the API server may ask for many short waits."""
        if key not in self._throttled:
            self._throttled.add(key)
            log.warning("%s: %s: %s; again in %g s, and so on", key, error.what, error, error.retry_after)

    def _tell(self, key: Key) -> None:
        body = self._mirror.pools.get(key)
        if body is None:
            self._metrics.pools.forget(key)
            self._throttled.discard(key)
            return
        status = body.get("status") or {}
        rows = status.get("threadPlan") or ()
        self._metrics.pools.set(
            key,
            desired_replicas=(body.get("spec") or {}).get("replicas", 1),
            ready_replicas=status.get("readyReplicas", 0),
            planned_cpus=max((row["cpusPerReplica"] for row in rows), default=0),
        )
        self._metrics.pools.tell(key, status.get("conditions") or ())


def _some(key: Key | None) -> tuple[Key, ...]:
    return () if key is None else (key,)
