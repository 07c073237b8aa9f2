"""What is registered with a language server and what is taken out of its list, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_operator.consumers.registry import PATIENCE_SECONDS, Changes, Memory, changes, encoder_url

A, B, C, THEIRS = "http://10.0.0.1:30000", "http://10.0.0.2:30000", "http://10.0.0.3:30000", "http://static:30000"


def memory(ours: str = "", there: str = "", **out: float) -> Memory:
    """URLs by their letters."""
    return Memory(frozenset(map(url, ours)), frozenset(map(url, there)), {url(key): each for key, each in out.items()})


def url(letter: str) -> str:
    return {"a": A, "b": B, "c": C}[letter]


@pytest.mark.parametrize(
    ("wanted", "unwanted", "listed", "known", "unregister", "register"),
    [
        # Nothing is known yet: what is missing is registered, what others have put there stays.
        ("ab", "", [THEIRS], memory(), "", "ab"),
        ("ab", "", [A, THEIRS], memory(), "", "b"),
        ("ab", "", [A, B], memory(), "", ""),
        ("", "", [THEIRS], memory(), "", ""),
        # An encoder that does not serve leaves, also where another operator has registered it.
        ("a", "b", [A, B], memory(), "b", ""),
        ("a", "b", [A, B], memory("ab", "ab"), "b", ""),
        ("a", "b", [A], memory(), "", ""),
        # One that is no more is known by what was registered. The language server may have taken it out by itself, and
        # would put it back if something answered there again.
        ("a", "", [A, B], memory("ab", "ab"), "b", ""),
        ("a", "", [A], memory("ab", "ab"), "b", ""),
        # That of a pod which has ended is another's now.
        ("a", "a", [A], memory("a", "a"), "", ""),
        # Nobody has the pool's encoders any more.
        ("", "", [A, B, THEIRS], memory("ab", "ab"), "ab", ""),
        # The language server was started anew.
        ("ab", "", [], memory("ab", "ab"), "", "ab"),
        ("ab", "", [THEIRS], memory("ab", "ab"), "", "ab"),
        ("abc", "", [THEIRS], memory("ab", "ab"), "", "abc"),
        ("a", "", [], memory("a", "a"), "", "a"),
        # It has taken one out itself, which it puts back by itself.
        ("ab", "", [A], memory("ab", "ab"), "", ""),
        ("abc", "", [A], memory("ab", "ab"), "", "c"),
        ("ab", "", [A], memory("ab", "a", b=95.0), "", ""),
        # For long: it may have forgotten it.
        ("ab", "", [A], memory("ab", "a", b=100.0 - PATIENCE_SECONDS), "", "b"),
        # And was started anew meanwhile.
        ("ab", "", [], memory("ab", "a", b=95.0), "", "ab"),
    ],
)
def test_what_is_asked_for(
    wanted: str, unwanted: str, listed: list[str], known: Memory, unregister: str, register: str
) -> None:
    asked, _ = changes({*map(url, wanted)}, {*map(url, unwanted)}, listed, known, 100.0)
    assert (asked.unregister, asked.register) == (tuple(map(url, unregister)), tuple(map(url, register)))


@pytest.mark.parametrize(("listed", "anew"), [([A], False), ([A, B], False), ([], True), ([THEIRS], True)])
def test_a_list_that_has_lost_all_is_another_one(listed: list[str], anew: bool) -> None:
    assert changes({A, B}, set(), listed, memory("ab", "ab"), 0.0)[0].anew == anew


def test_what_was_taken_and_is_not_listed_is_forgotten() -> None:
    asked, after = changes({A, B}, set(), [THEIRS], Memory(), 0.0)
    assert not asked.forgotten
    # Another one that a list has in its place does not count: `http://10.0.0.1:30000/`.
    asked, after = changes({A, B}, set(), [B, f"{A}/"], after.registered([A, B]), 1.0)
    assert (asked.forgotten, asked.register) == ({A}, (A,))
    # It has not been told anew since; and what nobody wants any more is no loss.
    assert not changes({A, B}, set(), [B], after, 2.0)[0].forgotten
    assert not changes({B}, set(), [B], after.registered([A]), 2.0)[0].forgotten


def test_since_when_one_is_out_is_remembered() -> None:
    _, after = changes({A, B}, set(), [A], memory("ab", "ab"), 100.0)
    assert after.out == {B: 100.0}
    _, later = changes({A, B}, set(), [A], after, 130.0)
    assert later.out == {B: 100.0}
    _, back = changes({A, B}, set(), [A, B], later, 140.0)
    assert back == memory("ab", "ab")


def test_what_is_there_and_wanted_is_ours_again() -> None:
    """After a restart of the operator: it has registered nothing yet."""
    _, after = changes({A}, set(), [A, THEIRS], Memory(), 0.0)
    asked, _ = changes(set(), set(), [A, THEIRS], after, 5.0)
    assert asked.unregister == (A,)


def test_one_that_was_unregistered_is_not_ours_any_more() -> None:
    known = memory("ab", "ab").unregistered([B])
    assert changes({A}, set(), [A, B], known, 0.0)[0] == Changes()
    assert known.registered([B]).ours == {A, B}


URLS = st.frozensets(st.sampled_from([A, B, C, THEIRS]))


@given(URLS, URLS, URLS, URLS, URLS, st.dictionaries(st.sampled_from([A, B, C]), st.floats(0, 100)))
def test_whatever_is_known_no_other_url_is_touched_and_all_is_right_in_the_end(
    wanted: frozenset[str],
    unwanted: frozenset[str],
    listed: frozenset[str],
    ours: frozenset[str],
    there: frozenset[str],
    out: dict[str, float],
) -> None:
    known, now, start = Memory(ours, there, out), 100.0, listed
    for _ in range(3):
        asked, known = changes(wanted, unwanted, listed, known, now)
        assert {*asked.unregister} <= (unwanted | ours) - wanted
        assert {*asked.register} <= wanted - listed
        listed = (listed - {*asked.unregister}) | {*asked.register}
        known = known.unregistered(asked.unregister).registered(asked.register)
        now += PATIENCE_SECONDS
    assert wanted <= listed
    assert listed - wanted <= start - wanted - unwanted - ours
    last, _ = changes(wanted, unwanted, listed, known, now)
    assert (last.unregister, last.register) == ((), ())


@pytest.mark.parametrize(("ip", "made"), [("10.0.0.1", A), ("fd00::1", "http://[fd00::1]:30000")])
def test_an_encoder_has_a_url(ip: str, made: str) -> None:
    assert encoder_url(ip) == made
