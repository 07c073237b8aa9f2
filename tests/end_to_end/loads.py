"""Loads in pods: two clients that ask a pool all the time, and what they counted."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end.objects import MEDIA, NAMESPACE, client_pod, endpoint
from tests.end_to_end.site import Site

CLIENTS = 2
PHOTOS = ("coffee.png", "astronaut.png", "rocket.jpg")
BEFORE_SECONDS, AFTER_SECONDS = 5.0, 5.0
PROGRAM = Path(__file__).with_name("load.py")


@dataclass
class Counted:
    """What all clients together counted; empty before the load has ended."""

    sent: int = 0
    answered: int = 0
    retried: int = 0
    lost: int = 0
    by: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, said: dict[str, Any]) -> None:
        """Take in what one client said."""
        for name in ("sent", "answered", "retried", "lost"):
            setattr(self, name, getattr(self, name) + said[name])
        self.by.update(said["by"])
        self.problems.update(said["problems"])


@contextmanager
def load(site: Site, pool: str) -> Iterator[Counted]:
    """Keep the pool busy, from a while before to a while after what is done meanwhile.

    Raises:
        AssertionError: A client did not end in order.
    """
    names = [f"load-{number}" for number in range(1, CLIENTS + 1)]
    program = {"name": "load", "namespace": NAMESPACE}
    site.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": program, "data": {"load.py": PROGRAM.read_text()}},
        *(_pod(name, pool) for name in names),
    )
    counted = Counted()
    try:
        site.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=120s")
        time.sleep(BEFORE_SECONDS)
        yield counted
        time.sleep(AFTER_SECONDS)
        for name in names:
            site.kubectl("exec", name, "--", "touch", "/tmp/stop")
        for name in names:
            site.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=150s")
            counted.add(json.loads(site.kubectl("logs", name).splitlines()[-1]))
    finally:
        site.kubectl("delete", "pod", *names, "--now", "--ignore-not-found")


def _pod(name: str, pool: str) -> dict[str, Any]:
    photos = [f"{MEDIA}/photos/{each}" for each in PHOTOS]
    command = ["python", "-u", "/load/load.py", name, endpoint(pool), *photos]
    pod = client_pod(name, ["photos"], command)
    (container,) = pod["spec"]["containers"]
    container["volumeMounts"].append({"name": "load", "mountPath": "/load"})
    pod["spec"]["volumes"].append({"name": "load", "configMap": {"name": "load"}})
    return pod
