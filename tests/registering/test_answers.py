"""Who is a language server of which pools, by what the API server says."""

import pytest

from fleet_operator.consumers.answers import Found, Place, Target, served, unanswered
from fleet_operator.consumers.servers import LanguageServer, Ports, Query
from fleet_operator.observed.mirror import Key

SERVERS = (LanguageServer("chat/vlm-0", "10.0.0.9", True),)


@pytest.mark.parametrize(
    ("before", "servers"),
    [
        (None, ()),
        (Found(), ()),
        (Found(SERVERS), SERVERS),
        # The second time too.
        (Found(SERVERS, "there is no Service"), SERVERS),
    ],
)
def test_a_question_without_an_answer_takes_no_language_server_away(
    before: Found | None, servers: tuple[LanguageServer, ...]
) -> None:
    assert unanswered(before, "may not look", 7) == Found(servers, "may not look", 7)


TEAM, CHAT, PORTS = Key("team", "vision"), Key("chat", "vision"), Ports(8997, 30000)
ASKED = Query("chat", "vlm", ())
CLOSED = LanguageServer("chat/vlm-0", "10.0.0.9", True)
OPEN = LanguageServer("chat/vlm-1", "10.0.0.8", True, frozenset({"team"}))


def test_each_is_told_of_pools_whose_encoders_it_takes() -> None:
    asked = {TEAM: [(ASKED, PORTS)], CHAT: [(ASKED, PORTS)]}
    all_of_it = served(asked, {ASKED: Found((CLOSED, OPEN))})
    assert all_of_it.places == {
        ("10.0.0.9", 8997): Target(CLOSED, (30000,), frozenset({CHAT})),
        ("10.0.0.8", 8997): Target(OPEN, (30000,), frozenset({TEAM, CHAT})),
    }
    (said,) = all_of_it.refusals[TEAM]
    assert said.startswith("chat/vlm-0: of another namespace")
    assert all_of_it.refusals[CHAT] == ()


def test_what_is_at_other_ports_is_another_one() -> None:
    other = Ports(9000, 30000)
    found = served({CHAT: [(ASKED, PORTS), (ASKED, other)]}, {ASKED: Found((OPEN,))})
    assert found.places.keys() == {("10.0.0.8", 8997), ("10.0.0.8", 9000)}


def test_a_list_is_one_however_the_port_of_its_api_is_told() -> None:
    other = Ports(8997, 8000)
    found = served({CHAT: [(ASKED, PORTS)], TEAM: [(ASKED, other)]}, {ASKED: Found((OPEN,))})
    assert found.places == {("10.0.0.8", 8997): Target(OPEN, (8000, 30000), frozenset({TEAM, CHAT}))}


def test_of_two_pods_at_one_address_it_is_the_one_that_serves() -> None:
    leaving = LanguageServer("chat/vlm-a", "10.0.0.9", False, uid="old")
    for pods in ((leaving, CLOSED), (CLOSED, leaving)):
        found = served({CHAT: [(ASKED, PORTS)]}, {ASKED: Found(pods)})
        assert found.places[Place("10.0.0.9", 8997)].server == CLOSED


def test_a_pool_is_known_once_all_its_questions_were_asked() -> None:
    query = Query("chat", "", (("app", "vlm"),))
    asked = {CHAT: [(ASKED, PORTS), (query, PORTS)]}
    found = {ASKED: Found((OPEN,), "there is no Service")}
    assert served(asked, found).problems == {}
    assert served(asked, found).places.keys() == {("10.0.0.8", 8997)}
    assert served(asked, {**found, query: Found((), "there is no Service")}).problems == {
        CHAT: ("there is no Service",)
    }
