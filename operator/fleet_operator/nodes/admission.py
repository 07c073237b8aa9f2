"""Whether a node takes a pod, by the pod's own wishes: node selector, required node affinity, tolerations. Pure.

As the scheduler's filters NodeAffinity and TaintToleration have it. What a node has free at the moment is left to the
scheduler.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet_operator.nodes.node import Taint

FIELD = "field:"
"""Before the name of a field: here fields are labels, of names that no label can have."""
NAME = f"{FIELD}metadata.name"
"""The one field of a node that affinity may ask for."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a pod asks of a node.

    Attributes:
        selector: `nodeSelector`.
        affinity: `affinity`, as the API has it.
        tolerations: As the API has them.
    """

    selector: Mapping[str, str]
    affinity: Mapping[str, Any]
    tolerations: Sequence[Mapping[str, Any]]

    def keys(self) -> Iterator[str]:
        """Labels of nodes that matter to it."""
        yield from self.selector
        for term in self.terms() or ():
            for expression in _expressions(term):
                yield expression["key"]

    def terms(self) -> Sequence[Mapping[str, Any]] | None:
        """Required node affinity: one of these; None where none is asked for."""
        required = (self.affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
        return None if required is None else required.get("nodeSelectorTerms") or ()


def admits(labels: Mapping[str, str], taints: Iterable[Taint], wishes: Wishes) -> bool:
    """Whether a node with `labels` and `taints` takes the pod."""
    if any(labels.get(key) != value for key, value in wishes.selector.items()):
        return False
    terms = wishes.terms()
    if terms is not None and not any(_matches(labels, term) for term in terms):
        return False
    return all(any(_tolerates(each, taint) for each in wishes.tolerations) for taint in taints if _repels(taint))


def _repels(taint: Taint) -> bool:
    return taint.effect in ("NoSchedule", "NoExecute")


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.effect:
        return False
    operator, value = toleration.get("operator") or "Equal", toleration.get("value") or ""
    if not toleration.get("key"):
        return bool(operator == "Exists")
    if toleration["key"] != taint.key:
        return False
    match operator:
        case "Exists":
            return True
        case "Equal":
            return bool(value == taint.value)
        case "Gt" | "Lt":
            return _compares(taint.value, operator, value)
    return False


def _matches(labels: Mapping[str, str], term: Mapping[str, Any]) -> bool:
    expressions = _expressions(term)
    # A term without any matches nothing, as the API says.
    return bool(expressions) and all(_holds(labels, each) for each in expressions)


def _expressions(term: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    fields = ({**each, "key": f"{FIELD}{each['key']}"} for each in term.get("matchFields") or ())
    return [*(term.get("matchExpressions") or ()), *fields]


def _holds(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    value, values = labels.get(expression["key"]), list(expression.get("values") or ())
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return len(values) == 1 and _compares(value or "", operator, values[0])
    return False


def _compares(text: str, operator: str, bound: str) -> bool:
    there, limit = _whole(text), _whole(bound)
    if there is None or limit is None:
        return False
    return there > limit if operator == "Gt" else there < limit


def _whole(text: str) -> int | None:
    """A number as Go reads it: `1_000` is none, nor is what has more than 64 bits."""
    number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None
