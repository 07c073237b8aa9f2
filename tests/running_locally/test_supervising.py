import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fleet_operator.local.claims import Claims
from fleet_operator.local.health import Patience
from fleet_operator.local.ports import Ports, choose
from fleet_operator.local.process import Command
from fleet_operator.local.supervise import DEFAULT_PATIENCE, Change, ReplicaFailedError, State, Supervisor

PROGRAM = Path(__file__).parent / "programs" / "replica.py"


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Claims() as claims:
        yield choose(1, None, claims)[0]


class Watched:
    """A supervisor with what it has told."""

    def __init__(
        self,
        ports: Ports,
        *arguments: str,
        drain_seconds: float = 20,
        cpus: frozenset[int] | None = None,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self.changes: list[Change] = []
        self.lines: list[str] = []
        env = {
            "ENCODERFLEET_REPLICA": "pool-0",
            "ENCODERFLEET_BIND": ports.endpoint,
            "ENCODERFLEET_HTTP": ports.http_address,
        }
        self.supervisor = Supervisor(
            "pool-0",
            Command((sys.executable, str(PROGRAM), *arguments), env, cpus),
            ports.http_address,
            drain_seconds=drain_seconds,
            on_change=self.changes.append,
            on_line=lambda replica, line: self.lines.append(f"{replica}: {line}"),
            patience=patience,
        )

    @property
    def states(self) -> list[State]:
        return [change.state for change in self.changes]

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[asyncio.Task[None]]:
    run = asyncio.create_task(watched.supervisor.run())
    try:
        yield run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        assert not is_running(watched.supervisor.pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_ready_then_drained(ports: Ports) -> None:
    watched = Watched(ports, "--startup", "0.5", "--drain", "0.3")
    async with running(watched) as run:
        await watched.until(lambda: watched.supervisor.progress != "")
        assert watched.supervisor.progress == "warming up"
        assert not watched.supervisor.ready.is_set()
        await watched.supervisor.ready.wait()
        watched.supervisor.drain()
        await run
    assert watched.states == [State.STARTING, State.READY, State.DRAINING, State.STOPPED]
    assert watched.changes[-1].code == 0
    assert watched.lines[-2:] == ["pool-0: draining", "pool-0: drained"]


async def test_a_killed_replica_comes_back_on_the_same_ports(ports: Ports) -> None:
    watched = Watched(ports)
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        first = watched.supervisor.pid
        os.kill(first, signal.SIGKILL)
        await watched.until(lambda: State.CRASHED in watched.states)
        await watched.supervisor.ready.wait()
        assert watched.supervisor.pid != first
        watched.supervisor.drain()
        await run
    crash = next(change for change in watched.changes if change.state is State.CRASHED)
    assert (crash.code, crash.pid, crash.restart_in) == (-signal.SIGKILL, first, 1.0)
    assert crash.message == "was killed by SIGKILL"


async def test_a_failed_start_is_tried_again(ports: Ports, tmp_path: Path) -> None:
    watched = Watched(ports, "--exit", "1", "--exit-unless", str(tmp_path / "second"))
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        watched.supervisor.drain()
        await run
    assert watched.states[:3] == [State.STARTING, State.CRASHED, State.STARTING]


async def test_a_bad_setting_is_not_tried_again_and_its_line_is_told(ports: Ports) -> None:
    watched = Watched(ports, "--exit", "2")
    async with running(watched) as run:
        with pytest.raises(ReplicaFailedError, match="pool-0 cannot start: setting pool-0 is wrong") as failed:
            await run
    assert failed.value.exit_code == 2
    assert watched.states == [State.STARTING, State.CRASHED]


async def test_a_bad_setting_passes_where_it_was_good_before(ports: Ports, tmp_path: Path) -> None:
    away = tmp_path / "away"
    watched = Watched(ports, "--exit", "2", "--exit-if", str(away))
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        away.touch()
        os.kill(watched.supervisor.pid, signal.SIGKILL)
        await watched.until(lambda: watched.states.count(State.READY) == 2)
        watched.supervisor.drain()
        await run
    assert [change.code for change in watched.changes if change.state is State.CRASHED] == [-9, 2]


async def test_no_further_process_is_told(ports: Ports) -> None:
    watched = Watched(ports, "x" * 200_000)  # longer than an argument may be
    with pytest.raises(ReplicaFailedError, match="pool-0 could not be started: Argument list too long") as failed:
        await watched.supervisor.run()
    assert failed.value.exit_code == 1


async def test_a_replica_that_hangs_is_replaced(ports: Ports) -> None:
    watched = Watched(ports, patience=Patience(health_interval=0.5, health_failures=3))
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        first = watched.supervisor.pid
        os.kill(first, signal.SIGSTOP)
        await watched.until(lambda: watched.states.count(State.READY) == 2)
        assert watched.supervisor.pid != first
        watched.supervisor.drain()
        await run
    (crash,) = [change for change in watched.changes if change.state is State.CRASHED]
    assert (crash.code, crash.message) == (-9, "was killed: no answer from /healthz, 3 times in a row")


async def test_a_start_that_takes_too_long_is_a_failed_one(ports: Ports) -> None:
    watched = Watched(ports, "--startup", "1000", patience=Patience(start_seconds=1))
    async with running(watched) as run:
        await watched.until(lambda: watched.states[-2:] == [State.CRASHED, State.STARTING])
        watched.supervisor.kill()
        await run
    crash = watched.changes[1]
    assert (crash.code, crash.restart_in, crash.message) == (-9, 1.0, "was killed: not ready after 1 s")


async def test_what_drains_already_gets_no_second_signal(ports: Ports) -> None:
    watched = Watched(ports, "--drain", "1.5")
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        os.kill(watched.supervisor.pid, signal.SIGTERM)
        await watched.until(lambda: "pool-0: draining" in watched.lines)
        watched.supervisor.drain()
        await run
    assert watched.changes[-1].code == 0, "143 is the answer to a second signal"


async def test_a_replica_that_does_not_drain_is_killed_in_time(ports: Ports) -> None:
    watched = Watched(ports, "--deaf", drain_seconds=0.5)
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        watched.supervisor.drain()
        await run
    assert watched.changes[-1].state is State.STOPPED
    assert watched.changes[-1].code == -signal.SIGKILL


async def test_kill_does_not_wait_for_a_drain(ports: Ports) -> None:
    watched = Watched(ports, "--drain", "1000", drain_seconds=1000)
    async with running(watched) as run:
        await watched.supervisor.ready.wait()
        watched.supervisor.drain()
        await watched.until(lambda: "pool-0: draining" in watched.lines)
        assert not run.done()
        watched.supervisor.kill()
        await run
    assert watched.changes[-1].code == -signal.SIGKILL


async def test_drained_while_it_waits_for_its_restart(ports: Ports) -> None:
    watched = Watched(ports, "--exit", "1")
    async with running(watched) as run:
        await watched.until(lambda: State.CRASHED in watched.states)
        watched.supervisor.drain()
        await run
    assert watched.states[-1] is State.STOPPED


async def test_cancelled_it_leaves_no_process(ports: Ports) -> None:
    watched = Watched(ports, "--deaf")
    async with running(watched):
        await watched.supervisor.ready.wait()
        assert is_running(watched.supervisor.pid)


async def test_pinned_to_its_cpus(ports: Ports) -> None:
    cpu = min(os.sched_getaffinity(0))
    watched = Watched(ports, cpus=frozenset({cpu}))
    async with running(watched):
        await watched.supervisor.ready.wait()
        assert os.sched_getaffinity(watched.supervisor.pid) == {cpu}
    assert f"pool-0: cpus [{cpu}]" in watched.lines


async def test_in_a_process_group_of_its_own(ports: Ports) -> None:
    watched = Watched(ports)
    async with running(watched):
        await watched.supervisor.ready.wait()
        assert os.getpgid(watched.supervisor.pid) == watched.supervisor.pid != os.getpgid(0)
