"""Whose encoders a language server takes."""

import pytest

from fleet_operator.consumers.consent import refusal, takes
from fleet_operator.consumers.servers import LanguageServer


def a_server(name: str = "chat/vlm-0", *takes_from: str) -> LanguageServer:
    return LanguageServer(name, "10.0.0.9", True, frozenset(takes_from))


@pytest.mark.parametrize(
    ("server", "taken"),
    [
        # Of its own namespace without a word.
        (a_server("team/vlm-0"), True),
        (a_server("team/vlm-0", "batch"), True),
        (a_server(), False),
        (a_server("chat/vlm-0", "team"), True),
        (a_server("chat/vlm-0", "batch", "team"), True),
        (a_server("chat/vlm-0", "*"), True),
        (a_server("chat/vlm-0", "batch", "team-a", "tea", "te*"), False),
    ],
)
def test_one_of_another_namespace_takes_encoders_where_its_pod_says_so(server: LanguageServer, taken: bool) -> None:
    assert takes(server, "team") == taken
    assert (refusal([server], "team") == "") == taken


def test_who_does_not_is_named_with_what_to_do() -> None:
    servers = [a_server(f"chat/vlm-{number}") for number in range(5)]
    assert refusal([*servers, a_server("chat/good", "team")], "team") == (
        "chat/vlm-0, chat/vlm-1, chat/vlm-2 and 2 more: of another namespace, and told of no encoder of team: "
        'annotate the pods there, in their template, with encoderfleet.io/encoders-from: "team"'
    )
