"""Roles against requests, as a table."""

from typing import Any

import pytest

from charting.rights import Right, granted, problems, refused, scopes, used

POD_READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "patch"]}
ONE_CRD = {
    "apiGroups": ["apiextensions.k8s.io"],
    "resources": ["customresourcedefinitions"],
    "resourceNames": ["pools.example.com"],
    "verbs": ["get"],
}


def event(verb: str, what: str, code: int = 200, *, name: str = "", namespace: str = "") -> dict[str, Any]:
    """Of the audit log: `what` is `group/resource/part`, `-` for no group."""
    group, resource, *part = what.split("/")
    about = {"apiGroup": group.strip("-"), "resource": resource, "subresource": "".join(part)}
    about |= {"name": name, "namespace": namespace}
    return {
        "verb": verb,
        "requestURI": f"/{resource}?limit=1",
        "objectRef": {key: value for key, value in about.items() if value},
        "responseStatus": {"code": code, "message": "no" if code == 403 else ""},
    }


LISTED, WATCHED = event("list", "-/pods"), event("watch", "-/pods")
INDEX = {"verb": "get", "requestURI": "/apis", "responseStatus": {"code": 200}}
REVIEW = event("create", "authorization.k8s.io/selfsubjectaccessreviews", 201)


@pytest.mark.parametrize(
    ("rules", "events", "said"),
    [
        ([], [], []),
        ([POD_READ], [LISTED, WATCHED], []),
        ([POD_READ], [LISTED], ["never used: watch pods"]),
        ([POD_READ], [LISTED, WATCHED, INDEX, REVIEW], []),
        (
            [POD_READ],
            [LISTED, event("watch", "-/pods", 403)],
            ["refused: watch /pods: no", "never used: watch pods"],
        ),
        ([], [event("get", "-/secrets", 403)] * 2, ["refused: get /secrets: no"]),
        ([], [event("get", "-/secrets")], ["allowed by no rule: get secrets"]),
        # Server-side apply of what is not there asks for both, and only its answer tells.
        ([DEPLOYMENTS], [event("patch", "apps/deployments", 201)], []),
        ([DEPLOYMENTS], [event("patch", "apps/deployments", 200)], ["never used: create apps/deployments"]),
        ([ONE_CRD], [event("get", "apiextensions.k8s.io/customresourcedefinitions", name="pools.example.com")], []),
        (
            [ONE_CRD],
            [event("get", "apiextensions.k8s.io/customresourcedefinitions", name="other.example.com")],
            ["never used: get apiextensions.k8s.io/customresourcedefinitions pools.example.com"],
        ),
        # A part is a right of its own.
        (
            [{"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["patch"]}],
            [event("patch", "-/pods/status")],
            ["never used: patch pods"],
        ),
        (
            [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}],
            [],
            ["allows more than it says: get */pods", "never used: get */pods"],
        ),
        # What is not there may be asked for.
        ([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], [event("get", "-/pods", 404)], []),
    ],
)
def test_what_does_not_fit_is_told(rules: list[Any], events: list[Any], said: list[str]) -> None:
    assert problems(rules, events) == said


def test_a_rule_is_the_product_of_its_lists() -> None:
    rule = {"apiGroups": ["", "apps"], "resources": ["a", "b/c"], "verbs": ["get", "list"]}
    assert len(granted([rule])) == 8
    assert Right("apps/b/c", "list") in granted([rule])


def test_a_refused_request_is_no_use() -> None:
    assert used([event("get", "-/pods", 403)]) == set()
    assert refused([event("get", "-/pods", 404)]) == []


def test_requests_are_told_apart_by_where_they_go() -> None:
    events = [
        event("list", "-/nodes"),
        event("get", "-/pods", name="p", namespace="a"),
        event("watch", "-/pods"),
        INDEX,
    ]
    assert scopes(events) == {"": {Right("nodes", "list"), Right("pods", "watch")}, "a": {Right("pods", "get")}}
