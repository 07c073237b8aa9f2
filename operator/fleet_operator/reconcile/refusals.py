"""What the API server said no with -> what is told of it, and what to do. Pure.

A 403 is not always a right that is missing: quotas, policies and namespaces that go say it too. Only the text tells.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fleet_operator.kube.errors import ApiError
from fleet_operator.reconcile.observation import REWRITTEN, Trouble

_NO_RIGHT = re.compile(r'User "[^"]*" cannot |cannot set blockOwnerDeletion')
_QUOTA = re.compile(r"(exceeded|failed) quota: ")
_MOST_FIELDS = 5
_GOING = "because it is being terminated"


def refusal(error: ApiError) -> Trouble:
    """Of a write that failed."""
    if error.passing:
        return Trouble("ApiUnavailable", f"cannot {error.what} for now: {error}: it is tried again")
    if _QUOTA.search(str(error)):
        advice = "raise the ResourceQuota, or delete what the namespace can do without"
        return Trouble("QuotaExceeded", f"cannot {error.what}: {error}: {advice}")
    if _GOING in str(error):
        return Trouble("NamespaceTerminating", f"cannot {error.what}: {error}: the pool goes with its namespace")
    if error.code == 403 and _NO_RIGHT.search(str(error)):
        message = f"the operator may not {error.what}: give its service account that right. {error}"
        return Trouble("Forbidden", message)
    if error.code == 404:
        return Trouble("NotServed", f"cannot {error.what}: {error}")
    return Trouble("Rejected", f"the API server refuses to {error.what}: {error}")


def meddled(rewritten: Mapping[tuple[str, str], Iterable[str]]) -> list[Trouble]:
    """What was applied and came back as something else, by kind and name."""
    advice = "an admission webhook sets something else, or this API server does not know it: it stays so"
    return [
        Trouble(REWRITTEN, f"{', '.join(sorted(fields)[:_MOST_FIELDS])} of {kind} {name}: {advice}")
        for (kind, name), fields in sorted(rewritten.items())
    ]


def taken(body: Mapping[str, Any], *, passing: bool) -> Trouble:
    """An object has a name that one of the pool shall have.

    Args:
        body: Of the pool.
        passing: Whether the other one is of a deleted pool, and goes by itself.
    """
    what = f"{body['kind']} {body['metadata']['name']}"
    if passing:
        return Trouble("WaitingForDeletion", f"{what} is being deleted, and made anew when it is gone")
    pods = "; no pod is made that would run under it" if body["kind"] == "ServiceAccount" else ""
    return Trouble("NameTaken", f"{what} is there and not this pool's: rename or delete it, or rename the pool{pods}")
