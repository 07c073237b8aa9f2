"""What roles allow, against what the API server was asked for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Event = Mapping[str, Any]
Rule = Mapping[str, Any]

EVERYBODY = frozenset({"authorization.k8s.io/selfsubjectaccessreviews"})
"""What each user may ask for by the roles that every cluster has, besides the API's own index."""


class Right(NamedTuple):
    """One verb on one kind of object.

    Attributes:
        what: `group/resource` or `group/resource/part`; without a group for the core one.
        verb: As RBAC has it.
        name: Of the only object that it is about; empty for any.
    """

    what: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.what}{' ' + self.name if self.name else ''}"


def granted(rules: Iterable[Rule]) -> set[Right]:
    """What rules allow."""
    return {
        Right(_joined(group, resource), verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
    }


def used(events: Iterable[Event]) -> set[Right]:
    """What was asked for and allowed, each with the name of its object and without.

    Also where nothing came of it: that an object is not there says who may ask for it.
    """
    return {right for event in events if _code(event) not in (401, 403) for right in _of(event)}


def refused(events: Iterable[Event]) -> list[str]:
    """Requests that were forbidden, each once."""
    return sorted({_line(event) for event in events if _code(event) == 403})


def problems(rules: Iterable[Rule], events: Iterable[Event]) -> list[str]:
    """Where the two do not fit; empty where every request was allowed by a rule, and every rule was of use."""
    events, may = list(events), granted(rules)
    done = used(events)
    wild = sorted(str(right) for right in may if "*" in str(right))
    idle = sorted(str(right) for right in may - done)
    # A rule that other roles of the cluster stand in for would be missed in a cluster without them.
    known = {(right.what, right.verb) for right in may}
    borrowed = sorted(str(each) for each in done if not each.name and (each.what, each.verb) not in known)
    return [
        *(f"allows more than it says: {each}" for each in wild),
        *(f"refused: {each}" for each in refused(events)),
        *(f"never used: {each}" for each in idle),
        *(f"allowed by no rule: {each}" for each in borrowed if each.split()[1] not in EVERYBODY),
    ]


def scopes(events: Iterable[Event]) -> dict[str, set[Right]]:
    """Namespace, or empty for the whole cluster -> what was asked for there."""
    found: dict[str, set[Right]] = {}
    for event in events:
        namespace = (event.get("objectRef") or {}).get("namespace") or ""
        for right in _of(event):
            if not right.name:
                found.setdefault(namespace, set()).add(right)
    return found


def _of(event: Event) -> Iterable[Right]:
    about = event.get("objectRef")
    if about is None:
        return  # the API's index, which everybody may read
    what = _joined(about.get("apiGroup") or "", about["resource"], about.get("subresource") or "")
    verbs = [event["verb"]]
    if event["verb"] == "patch" and _code(event) == 201:
        verbs.append("create")  # by server-side apply; it is asked for both
    for verb in verbs:
        yield Right(what, verb)
        if about.get("name"):
            yield Right(what, verb, about["name"])


def _joined(*parts: str) -> str:
    return "/".join(filter(None, parts))


def _code(event: Event) -> int:
    return (event.get("responseStatus") or {}).get("code") or 0


def _line(event: Event) -> str:
    message = (event.get("responseStatus") or {}).get("message") or ""
    return f"{event['verb']} {event['requestURI'].partition('?')[0]}: {message}"
