"""Custom resources that a cluster is to know."""

import json
import time
from pathlib import Path

from tests.cluster.control_plane import ControlPlane

CRDS = Path(__file__).parents[2] / "crds"
PATIENCE = 60.0


def define(cluster: ControlPlane, text: str | None = None) -> None:
    """Make a definition known, and wait until objects of it may be made.

    `kubectl wait` fails where the definition has no conditions yet.

    Args:
        cluster: Whom.
        text: A definition; that of EncoderPools where not given.
    """
    source = ["-f", "-"] if text else ["-f", str(CRDS)]
    names = cluster.kubectl("apply", "--server-side", "--force-conflicts", "-o", "name", *source, input=text).split()
    deadline = time.monotonic() + PATIENCE
    for name in names:
        while not _established(cluster, name):
            assert time.monotonic() < deadline, f"{name} is not established after {PATIENCE:.0f} s"
            time.sleep(0.1)


def _established(cluster: ControlPlane, name: str) -> bool:
    status = json.loads(cluster.kubectl("get", name, "-o", "json")).get("status") or {}
    return any(each["type"] == "Established" and each["status"] == "True" for each in status.get("conditions") or ())
