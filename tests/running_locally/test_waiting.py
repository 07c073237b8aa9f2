"""What `up` says while nothing is ready yet."""

from pathlib import Path

import pytest
from tests.running_locally.running_up import Up, pool_with_model, wait_until

from fleet_cli.up_waiting import FIRST, LOADING, says, still
from fleet_operator.local.process import Command
from fleet_operator.local.supervise import State, Supervisor

WARMING = "starting: the model is not warm yet"


@pytest.mark.parametrize(
    ("state", "progress", "said"),
    [
        (State.STARTING, "", LOADING),
        (State.STARTING, WARMING, WARMING),
        (State.CRASHED, "", "crashed"),
        (State.CRASHED, WARMING, "crashed"),
    ],
)
def test_why_a_replica_is_not_ready(state: State, progress: str, said: str) -> None:
    assert says(state, progress) == said


def a_supervisor(name: str, progress: str = "", *, ready: bool = False) -> Supervisor:
    made = Supervisor(
        name, Command((), {}), "127.0.0.1:1", drain_seconds=1, on_change=lambda _: None, on_line=lambda *_: None
    )
    made.progress = progress
    if ready:
        made.ready.set()
    return made


def test_those_with_the_same_reason_are_named_together() -> None:
    waited_for = [
        a_supervisor("pool-0"),
        a_supervisor("pool-1", WARMING),
        a_supervisor("pool-2", WARMING, ready=True),
        a_supervisor("pool-3"),
    ]
    assert still(15.2, waited_for) == f"After 15 s still waiting for pool-0, pool-3 ({LOADING}); pool-1 ({WARMING})"
    assert still(15.2, [waited_for[2]]) == ""
    many = [a_supervisor(f"pool-{number}") for number in range(8)]
    assert still(30.0, many) == f"After 30 s still waiting for pool-0, pool-1, pool-2 and 5 more ({LOADING})"


def test_whoever_reads_a_pipe_sees_that_it_goes_on(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "--quiet", replica="--startup 1000") as up:
        wait_until(lambda: FIRST in up.err)
        wait_until(lambda: any("still waiting for pool-0, pool-1 (warming up)" in line for line in up.err))
        up.ctrl_c()
        up.ctrl_c()
        up.end()
    assert up.out == []
