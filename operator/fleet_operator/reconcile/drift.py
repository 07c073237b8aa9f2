"""Whether an object is as it was applied. Pure.

Only fields that were applied count: what the API server filled in, and what others added, is theirs.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet_operator.api.pool import GROUP
from fleet_operator.quantity import QuantityError, parse_quantity

APPLIED = f"{GROUP}/applied"
"""Annotation: hash of what was applied. An apply that gives up a field has another hash, and only so is it seen."""

_KEYS = ("mountPath", "name", "uid", "topologyKey")
"""What tells the entries of a list apart, where the entries are alike in having it. As in the API: other lists, such as
tolerations, are one value each, and an entry more is another value."""
_AMOUNTS = frozenset({"requests", "limits", "sizeLimit", "divisor", "averageValue"})
"""Fields with quantities, which the API server keeps in its own way: `0.5` becomes `500m`."""
_FALSE_IF_MISSING = frozenset({"readOnly"})
"""Fields of which the API server leaves out a `false`; that of others says something."""


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the annotation `APPLIED`."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    meta = body["metadata"]
    return {**body, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), APPLIED: digest}}}


def covers(live: Any, applied: Any) -> bool:
    """Whether `live` has all that was applied."""
    return _covers(live, applied, amounts=False)


def differences(live: Any, applied: Any) -> frozenset[str]:
    """Where `live` has not what was applied: `spec.template.spec.containers[main].image`. None where it has all."""
    return frozenset(_differences(live, applied, "", amounts=False))


def _differences(live: Any, applied: Any, path: str, *, amounts: bool) -> Iterator[str]:
    if _covers(live, applied, amounts=amounts):
        return
    if isinstance(applied, dict) and isinstance(live, dict):
        for key, each in applied.items():
            if not _has(live, key, each, amounts=amounts):
                where = f"{path}.{key}" if path else key
                yield from _differences(live.get(key), each, where, amounts=amounts or key in _AMOUNTS)
    elif isinstance(applied, list | tuple) and isinstance(live, list) and (named := _names(applied)) is not None:
        there = _by(named, live)
        for each in applied:
            yield from _differences(there.get(each[named]), each, f"{path}[{each[named]}]", amounts=False)
    else:
        yield path


def _covers(live: Any, applied: Any, *, amounts: bool) -> bool:
    if live == applied:
        return True  # most of an object is, and this is far faster than to look into it
    if isinstance(applied, dict):
        there = live if isinstance(live, dict) else {} if live is None else None
        return there is not None and all(_has(there, *each, amounts=amounts) for each in applied.items())
    if isinstance(applied, list | tuple):
        return _covers_list(live if isinstance(live, list) else [], applied)
    # The API server leaves an empty text out.
    return (live is None and applied == "") or (amounts and _same_amount(live, applied))


def _has(there: Mapping[str, Any], key: str, applied: Any, *, amounts: bool) -> bool:
    if applied is False and key in _FALSE_IF_MISSING:
        return not there.get(key)
    return _covers(there.get(key), applied, amounts=amounts or key in _AMOUNTS)


def _covers_list(live: Sequence[Any], applied: Sequence[Any]) -> bool:
    key = _names(applied)
    if key is None:
        return len(live) == len(applied) and all(map(covers, live, applied))
    there = _by(key, live)
    return all(covers(there.get(each[key]), each) and each[key] in there for each in applied)


def _names(entries: Sequence[Any]) -> str | None:
    """What tells the entries apart."""
    return next((key for key in _KEYS if _unique(entries, key)), None)


def _by(key: str, entries: Sequence[Any]) -> dict[Any, Any]:
    return {each[key]: each for each in entries if isinstance(each, dict) and key in each}


def _unique(entries: Sequence[Any], key: str) -> bool:
    if not entries or not all(isinstance(each, dict) and isinstance(each.get(key), str) for each in entries):
        return False
    return len({each[key] for each in entries}) == len(entries)


def _same_amount(live: Any, applied: Any) -> bool:
    if isinstance(live, bool | None) or isinstance(applied, bool | None):
        return False
    try:
        return parse_quantity(str(live)) == parse_quantity(str(applied))
    except QuantityError:
        return False
