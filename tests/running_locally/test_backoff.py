import pytest

from fleet_operator.local.backoff import MAX_FAILED_STARTS, Ended, GiveUp, History, Restart, after, describe


@pytest.mark.parametrize(
    ("code", "ready_seconds", "failures", "was_ready", "delay", "failures_then"),
    [
        # First crash: a second. Each further one doubles.
        (1, 5.0, 0, False, 1.0, 1),
        (1, 0.0, 1, True, 2.0, 2),
        (-9, 3.0, 2, True, 4.0, 3),
        (-11, 3.0, 4, True, 16.0, 5),
        # Never over half a minute, however long it goes on.
        (1, 0.0, 5, True, 30.0, 6),
        (1, 0.0, 5000, True, 30.0, 5001),
        # A minute of health: the past is forgotten; a moment less: it is not.
        (-9, 60.0, 4, True, 1.0, 1),
        (-9, 59.9, 4, True, 16.0, 5),
        # Ending well unasked is an end all the same.
        (0, 10.0, 0, True, 1.0, 1),
    ],
)
def test_restarts_with_growing_delay(
    code: int, ready_seconds: float, failures: int, was_ready: bool, delay: float, failures_then: int
) -> None:
    decision = after(Ended(code, ready_seconds), History(failures, was_ready))
    assert decision == Restart(delay, History(failures_then, True))


@pytest.mark.parametrize("failures", [0, 3])
@pytest.mark.parametrize(("code", "exit_code"), [(2, 2), (None, 1)])
def test_what_was_never_ready_and_cannot_be_is_not_tried_again(code: int | None, exit_code: int, failures: int) -> None:
    decision = after(Ended(code), History(failures))
    assert isinstance(decision, GiveUp)
    assert decision.exit_code == exit_code


@pytest.mark.parametrize("code", [2, None])
def test_what_was_ready_once_is_tried_again(code: int | None) -> None:
    assert after(Ended(code), History(1, was_ready=True)) == Restart(2.0, History(2, was_ready=True))
    assert after(Ended(code, 500.0), History()) == Restart(1.0, History(1, was_ready=True))


def test_a_replica_that_never_gets_ready_is_given_up() -> None:
    history, delays = History(), []
    for _ in range(MAX_FAILED_STARTS - 1):
        decision = after(Ended(1, 0.0), history)
        assert isinstance(decision, Restart)
        delays.append(decision.delay)
        history = decision.history
    assert delays == [1, 2, 4, 8]
    decision = after(Ended(-11, 0.0), history)
    assert isinstance(decision, GiveUp)
    assert decision.exit_code == 1
    assert "5 starts" in decision.reason
    assert "SIGSEGV" in decision.reason


def test_once_ready_it_is_never_given_up() -> None:
    history = History()
    decision = after(Ended(1, 0.5), history)
    for _ in range(3 * MAX_FAILED_STARTS):
        assert isinstance(decision, Restart)
        decision = after(Ended(1, 0.0), decision.history)
    assert isinstance(decision, Restart)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "could not be started"),
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "was killed by SIGKILL"),
        (-99, "was killed by signal 99"),
    ],
)
def test_exit_codes_in_words(code: int | None, words: str) -> None:
    assert describe(code) == words
    assert Ended(code).how == words
    assert Ended(code, why="hung").how == "hung"
