"""`encoderfleet up` with what it is for: real encoders, and a real client beside."""

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.running_locally.running_up import Up, is_running, pool_file, wait_until

from fleet_client import Client, Encoding, image


@pytest.mark.timeout(400)
def test_nobody_loses_a_request_when_a_replica_is_killed(qwen2_5_vl: Path, photos: Path, tmp_path: Path) -> None:
    photo = image(photos / "rocket.jpg")
    with Up(pool_file(tmp_path, qwen2_5_vl), "-o", "json", replica=None) as up:
        victim, other = up.event("ready")["replicas"]
        endpoints = [victim["endpoint"], other["endpoint"]]
        outcomes: list[object] = []
        stop = threading.Event()
        with Client(endpoints, timeout=150) as client:

            def call() -> None:
                while not stop.wait(0.02):  # most answers come from the cache: leave the CPUs to the restart
                    outcomes.extend(client.encode([photo], return_errors=True))

            callers = [threading.Thread(target=call) for _ in range(4)]
            for caller in callers:
                caller.start()
            wait_until(lambda: len(outcomes) > 20)
            os.kill(victim["pid"], signal.SIGKILL)
            assert up.event("crashed")["replica"] == "pool-0"
            up.event("restarted")
            stop.set()
            for caller in callers:
                caller.join()
            assert len(outcomes) > 20
            assert all(isinstance(outcome, Encoding) for outcome in outcomes)
        up.ctrl_c()
        assert up.end() == 0
        assert not is_running(other["pid"])


def test_a_model_that_is_none_ends_it_with_the_encoders_line(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"architectures": ["Wrong"]}')
    with Up(pool_file(tmp_path, replicas=1), "-o", "json", "--quiet", replica=None) as up:
        assert up.end() == 2
    assert len(up.err) == 1
    assert up.err[0].startswith("Error: pool-0 cannot start: ")
    assert "architecture Wrong" in up.err[0]
