"""Two statuses of a pool -> the events between them. Pure.

The status is the memory: what it said before is no news, also to an operator that was just started. What counts up and
down by itself (ready replicas, waiting pods) is none either: events are for what somebody would want to be told once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet_operator.wording import counted

WATCHED = ("ThreadsPlanned", "Schedulable", "Healthy", "Progressing", "ConsumersRegistered")
"""Conditions whose turn for the worse is an event, causes first. Ready follows from them."""
_BAD_THOUGH_TRUE = frozenset({"CpuOvercommitted", "Kept", "FromResources"})
_FINE_THOUGH_FALSE = frozenset({"Complete", "Paused", "Registering", "NoEncoders"})


@dataclass(frozen=True, slots=True)
class News:
    """One event: `Normal` or `Warning`, a reason of one word, a sentence."""

    type: str
    reason: str
    message: str


def news(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[News]:
    """The events, in the order of importance."""
    return [*_plans(old, new), *_turns(old, new)]


def _plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[News]:
    """A shape's replicas are planned anew. Where there are none, what would be planned is no news."""
    before = {row["name"]: row for row in old.get("threadPlan") or () if row.get("replicas")}
    for row in new.get("threadPlan") or ():
        share = (row["cpusPerReplica"], row["gpusPerReplica"])
        known = before.get(row["name"])
        same = known is not None and (known["cpusPerReplica"], known["gpusPerReplica"]) == share
        if row["replicas"] and not same:
            told = counted(share[0], "CPU") + (f", {counted(share[1], 'GPU')}" if share[1] else "")
            yield News("Normal", "Planned", f"{row['name']}: {told} a replica: {row['reason']}")


def _turns(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[News]:
    before = {each["type"]: each for each in old.get("conditions") or ()}
    said: set[tuple[str, str]] = set()
    watched = [each for each in new.get("conditions") or () if each["type"] in WATCHED]
    for each in sorted(watched, key=lambda each: WATCHED.index(each["type"])):
        known = before.get(each["type"]) or {}
        if known.get("reason") == each["reason"]:
            continue
        bad = each if _is_bad(each) else known if known and _is_bad(known) else None
        # One cause may be that of several conditions.
        if bad is None or (cause := (bad["reason"], bad["message"])) in said:
            continue
        said.add(cause)
        if bad is each:
            yield News("Warning", each["reason"], each["message"])
        else:
            yield News("Normal", each["reason"], f"over: {known['reason']}; now: {each['message']}")


def _is_bad(condition: Mapping[str, Any]) -> bool:
    if condition["status"] == "True":
        return condition["reason"] in _BAD_THOUGH_TRUE
    return condition["reason"] not in _FINE_THOUGH_FALSE
