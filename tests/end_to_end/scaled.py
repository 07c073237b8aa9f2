"""A pool that somebody else's autoscaler has, from no load to load and back: who changed its replicas, and to what."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster import audit
from tests.end_to_end.loads import Counted, load
from tests.end_to_end.site import NAMESPACE, WAIT, Site

POOL = "first"


def up_and_down(site: Site, backend: str, **more: Any) -> tuple[Counted, list[tuple[str, int]]]:
    """Hand the pool over, with one replica; put load on it until it has two, and wait until it has one again.

    Args:
        site: Where the pool is. It has two replicas afterwards, and no autoscaler.
        backend: Of its `autoscaling`.
        more: Of its `autoscaling`.

    Returns:
        What the load counted, and who changed the pool's replicas meanwhile to what, the first change first.
    """
    with _handed_over(site, backend, more):
        before = len(_changes(site))
        with load(site, POOL) as counted:
            _scaled(site, 2)
        _scaled(site, 1)
        return counted, _changes(site)[before:]


@contextmanager
def _handed_over(site: Site, backend: str, more: dict[str, Any]) -> Iterator[None]:
    autoscaling = {
        "mode": "Auto",
        "backend": backend,
        "minReplicas": 1,
        "maxReplicas": 2,
        # One replica could take this load, but shall not.
        "targets": {"utilizationPercent": 20},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 20}},
        **more,
    }
    _patch(site, replicas=1, autoscaling=autoscaling)
    try:
        site.settled(POOL, 1)
        yield
    finally:
        _patch(site, replicas=2, autoscaling=None)
        site.settled(POOL, 2)


def _scaled(site: Site, replicas: int) -> None:
    site.kubectl("wait", f"--for=jsonpath={{.spec.replicas}}={replicas}", f"encp/{POOL}", WAIT)
    site.settled(POOL, replicas)


def _patch(site: Site, **spec: Any) -> None:
    site.kubectl("patch", f"encp/{POOL}", "--type=merge", "--patch", json.dumps({"spec": spec}))


def _changes(site: Site) -> list[tuple[str, int]]:
    return audit.replicas(site.control_plane.audit_log, NAMESPACE, POOL)
