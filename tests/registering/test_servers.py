"""Which pods are language servers."""

from typing import Any

import pytest

from fleet_operator.consumers.servers import LanguageServer, Ports, Query, label_selector, language_servers, queries
from fleet_operator.specs.names import ENCODERS_FROM
from reconciling.snapshots import a_cluster_pool


def a_server(name: str = "vlm-0", *, leaving: bool = False, ready: bool = True, **status: Any) -> dict[str, Any]:
    meta = {
        "namespace": "chat",
        "name": name,
        "uid": f"uid-{name}",
        **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
    }
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": meta, "status": {"phase": "Running", "podIP": "10.0.0.9", "conditions": conditions, **status}}


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (a_server(), [True]),
        (a_server(ready=False), [False]),
        # Until its end it may have requests.
        (a_server(leaving=True), [False]),
        (a_server(phase="Pending"), []),
        (a_server(phase="Succeeded"), []),
        (a_server(podIP=""), []),
        ({"metadata": {"namespace": "chat", "name": "new"}}, []),
    ],
)
def test_pods_that_run_and_have_an_address_are(pod: dict[str, Any], found: list[bool]) -> None:
    assert [each.ready for each in language_servers([pod])] == found


def test_they_are_told_apart_by_name_and_address() -> None:
    pods = [a_server("b", podIP="fd00::9"), a_server("a")]
    first, second = language_servers(pods)
    assert (first.name, first.address(8997)) == ("chat/a", "10.0.0.9:8997")
    assert second == LanguageServer("chat/b", "fd00::9", True, uid="uid-b")
    assert second.address(30000) == "[fd00::9]:30000"


@pytest.mark.parametrize(
    ("annotations", "takes_from"),
    [
        (None, set()),
        ({}, set()),
        ({ENCODERS_FROM: ""}, set()),
        ({ENCODERS_FROM: "team"}, {"team"}),
        ({ENCODERS_FROM: " team, batch ,"}, {"team", "batch"}),
        ({ENCODERS_FROM: "*"}, {"*"}),
    ],
)
def test_their_pods_say_whose_encoders_they_take(annotations: Any, takes_from: set[str]) -> None:
    pod = a_server()
    pod["metadata"]["annotations"] = annotations
    (found,) = language_servers([pod])
    assert found.takes_from == takes_from


def test_each_consumer_is_a_question() -> None:
    pool = a_cluster_pool(
        consumers=[
            {"service": {"name": "vlm"}},
            {"service": {"name": "vlm", "namespace": "chat"}, "bootstrapPort": 9000, "port": 8000},
            {"selector": {"matchLabels": {"b": "2", "a": "1"}}},
            {"selector": {"matchLabels": {"a": "1"}}, "namespace": "chat"},
        ]
    )
    assert queries(pool) == [
        (Query("team", "vlm", ()), Ports(8997, 30000)),
        (Query("chat", "vlm", ()), Ports(9000, 8000)),
        (Query("team", "", (("a", "1"), ("b", "2"))), Ports(8997, 30000)),
        (Query("chat", "", (("a", "1"),)), Ports(8997, 30000)),
    ]
    assert label_selector(queries(pool)[2][0].labels) == "a=1,b=2"
