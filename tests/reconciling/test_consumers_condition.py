"""What is said of the language servers of a pool."""

from typing import Any

import pytest

from fleet_operator.consumers.report import Report, ServerState
from fleet_operator.reconcile.consumers_condition import consumers_registered
from fleet_operator.reconcile.finding import Finding
from fleet_operator.reconcile.news import news
from reconciling.snapshots import a_cluster_pool, seen

CONSUMERS = [{"selector": {"matchLabels": {"app": "vlm"}}}]


def server(name: str = "chat/vlm-0", **fields: Any) -> ServerState:
    return ServerState(**{"name": name, "ready": True, "wanted": 2, "registered": 2, **fields})


def told(*servers: ServerState, status: Any = None, **fields: Any) -> Finding:
    report = Report(**{"servers": servers, "encoders": 2, "settled": True, **fields})
    (found,) = consumers_registered(seen(a_cluster_pool(consumers=CONSUMERS), consumers=report, status=status or {}))
    return found


def test_a_pool_without_consumers_says_nothing() -> None:
    assert consumers_registered(seen(a_cluster_pool(), consumers=None)) == ()


@pytest.mark.parametrize(
    ("found", "status", "reason", "words"),
    [
        (
            told(server(), server("chat/vlm-1"), server("chat/vlm-2")),
            "True",
            "Registered",
            ["2 encoders registered with 3 language servers"],
        ),
        (told(server(wanted=1, registered=1), encoders=1), "True", "Registered", ["1 encoder registered with 1 lang"]),
        # One that is not ready yet, or is leaving, is no trouble.
        (told(server(), server("b", ready=False, unreachable="refused")), "True", "Registered", ["with 1 language"]),
        (told(server(doubt="compatibility unknown: its API does not answer")), "True", "Registered", ["vlm-0: compat"]),
        (told(), "False", "NoLanguageServers", ["start the language servers"]),
        (told(server(ready=False, wanted=0, registered=0)), "False", "NoLanguageServers", ["spec.consumers"]),
        (told(server(wanted=0, registered=0), encoders=0), "False", "NoEncoders", ["the condition Ready says why"]),
        (told(server(unreachable="port 8997 refuses")), "False", "Unreachable", ["chat/vlm-0: port 8997 refuses"]),
        (
            told(*(server(f"vlm-{number}", mismatch="of another model") for number in range(5))),
            "False",
            "Incompatible",
            ["not told of the encoders: vlm-0, vlm-1, vlm-2 and 2 more: of another model"],
        ),
        (told(server(), deaf=("vision-any-1",)), "False", "NotListening", ["vision-any-1 does not listen"]),
        (told(server(), problems=("there is no Service",)), "False", "ConsumersUnreadable", ["there is no Service"]),
        (told(refusals=("chat/vlm-0: annotate it",)), "False", "NotAllowed", ["chat/vlm-0: annotate it"]),
    ],
)
def test_what_keeps_language_servers_from_encoders_is_said(
    found: Finding, status: str, reason: str, words: list[str]
) -> None:
    assert (found.status, found.reason) == (status, reason)
    for each in words:
        assert each in found.message


def test_while_something_changes_nothing_new_is_said() -> None:
    before = {"type": "ConsumersRegistered", "status": "True", "reason": "Registered", "message": "2 encoders"}
    assert told(server(registered=1), settled=False).reason == "Registering"
    assert told(server(registered=1), settled=False, status={"conditions": [before]}).message == "2 encoders"
    invalid = {**before, "status": "Unknown", "reason": "InvalidSpec"}
    assert told(settled=False, status={"conditions": [invalid]}).reason == "Registering"


@pytest.mark.parametrize(("reason", "count"), [("Registering", 0), ("NoEncoders", 0), ("Incompatible", 1)])
def test_only_what_is_wrong_is_an_event(reason: str, count: int) -> None:
    condition = {"type": "ConsumersRegistered", "status": "False", "reason": reason, "message": "m"}
    assert len(news({}, {"conditions": [condition]})) == count


@pytest.mark.parametrize(
    ("state", "settled"),
    [
        (server(), True),
        (server(registered=1), False),
        (server(registered=0, unreachable="refused"), True),
        (server(registered=0, mismatch="other"), True),
    ],
)
def test_a_language_server_is_settled_when_it_has_all_or_cannot(state: ServerState, settled: bool) -> None:
    assert state.settled == settled
