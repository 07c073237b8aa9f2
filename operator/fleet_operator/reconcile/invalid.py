"""The status of a pool that this operator cannot read. Pure.

The API server has judged the pool by the definition that is installed; where that is another one than this operator's,
it may let through what the operator does not know.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet_operator.api.crd import APPLY
from fleet_operator.timestamps import write_time

_ADVICE = f"the definition in the cluster is not this operator's: `{APPLY}` of its version"


def invalid_status(body: Mapping[str, Any], problems: str, now: datetime, *, outdated: bool) -> dict[str, Any]:
    """The status as it was, with conditions that say what is wrong; pods are left as they are.

    Args:
        body: The pool.
        problems: What is wrong with it.
        now: UTC.
        outdated: Whether the definition in the cluster is known not to be this operator's.
    """
    message = f"{problems}: {_ADVICE}" if outdated else problems
    before = body.get("status") or {}
    known = {each["type"]: each for each in before.get("conditions") or ()}
    found = []
    kinds = ["Ready", "Progressing", "ThreadsPlanned", "ScalingActive", "Schedulable", "Healthy"]
    for kind in [*kinds, *({"ConsumersRegistered"} & known.keys())]:
        old = known.get(kind) or {}
        state = "False" if kind in ("Ready", "Progressing", "ThreadsPlanned") else "Unknown"
        since = old["lastTransitionTime"] if old.get("status") == state else write_time(now)
        found.append(
            {
                "type": kind,
                "status": state,
                "observedGeneration": body["metadata"]["generation"],
                "lastTransitionTime": since,
                "reason": "InvalidSpec",
                "message": message[:4096],
            }
        )
    return {**before, "observedGeneration": body["metadata"]["generation"], "conditions": found}
