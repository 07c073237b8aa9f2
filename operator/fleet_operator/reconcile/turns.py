"""The writes that are missing -> those that may be made now, as Deployments of a pool take turns. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.reconcile.changes import Apply, Change, Resize
from fleet_operator.reconcile.desired import FULL_SINCE
from fleet_operator.reconcile.drift import covers
from fleet_operator.reconcile.rollout import away, in_turn, parts

Bodies = Mapping[str, Mapping[str, Any]]


def taking_turns(
    missing: Iterable[Change], pool: EncoderPool, there: Bodies, counts: Mapping[str, int]
) -> tuple[list[Change], tuple[str, ...]]:
    """The changes of now, and names of the Deployments whose template waits for its turn.

    Args:
        missing: All changes.
        pool: The pool.
        there: Its Deployments as they are, by name.
        counts: Replicas that they shall have, by name.
    """
    missing = list(missing)
    changed = {name for each in missing if (name := _with_another_template(each, there))}
    waiting = changed - in_turn(parts(pool, there, counts, changed), away(pool))
    now: list[Change] = []
    for each in missing:
        if isinstance(each, Apply) and _with_another_template(each, there) in waiting:
            now += _of_a_waiting_one(each, there)
        else:
            now.append(each)
    return now, tuple(sorted(waiting))


def _with_another_template(change: Change, there: Bodies) -> str:
    """Name of the Deployment to which the change brings one; else empty."""
    if not isinstance(change, Apply) or change.body["kind"] != "Deployment":
        return ""
    name: str = change.body["metadata"]["name"]
    live = there.get(name)
    return name if live and not covers(live["spec"].get("template"), change.body["spec"]["template"]) else ""


def _of_a_waiting_one(change: Apply, there: Bodies) -> list[Change]:
    """Its replicas do not wait, nor that its nodes are full. What its pods were planned with goes with its template."""
    live, meta = there[change.body["metadata"]["name"]], change.body["metadata"]
    replicas, full = change.body["spec"]["replicas"], meta["annotations"].get(FULL_SINCE)
    if (live["spec"].get("replicas"), (live["metadata"].get("annotations") or {}).get(FULL_SINCE)) == (replicas, full):
        return []
    return [Resize(change.body, live["metadata"]["uid"], replicas, {FULL_SINCE: full})]
