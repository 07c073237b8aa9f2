"""What the API server writes down about requests: who asked for what, and was it allowed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

OWN_USERS = ("system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "kwok")
POOLS = "encoderfleet.io", "encoderpools"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Who sets a pool's replicas, to what. Nothing of its status.
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch"],
            "resources": [{"group": POOLS[0], "resources": [POOLS[1], f"{POOLS[1]}/scale"]}],
        },
        # The control plane's own requests are most of all, and nobody asks about them.
        {"level": "None", "users": list(OWN_USERS)},
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata"},
    ],
}
Event = dict[str, Any]


def write_policy(path: Path) -> Path:
    """Write what kube-apiserver's `--audit-policy-file` reads."""
    path.write_text(yaml.safe_dump(POLICY))
    return path


def events(log: Path, user: str | None = None) -> Iterator[Event]:
    """Events of the log, the oldest first; of one user where given.

    An event is written when its answer goes out: who has just been answered may have to look twice. A watch is written
    when it begins (stage `ResponseStarted`) and when it ends.
    """
    if not log.exists():
        return
    with log.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the API server is writing it
            event = json.loads(line)
            if user is None or event["user"].get("username") == user:
                yield event


def replicas(log: Path, namespace: str, pool: str) -> list[tuple[str, int]]:
    """Who changed `spec.replicas` of a pool to what, the first change first."""
    changes: list[tuple[str, int]] = []
    for event in events(log):
        what = event.get("objectRef", {})
        if (what.get("apiGroup"), what.get("resource"), what.get("namespace")) != (*POOLS, namespace):
            continue
        written = event.get("responseObject", {})
        if event["responseStatus"]["code"] >= 400 or written.get("metadata", {}).get("name") != pool:
            continue
        count = written.get("spec", {}).get("replicas")
        if count is not None and (not changes or changes[-1][1] != count):
            changes.append((event["user"]["username"], count))
    return changes
