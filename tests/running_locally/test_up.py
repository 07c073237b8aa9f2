import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import urllib.request
from pathlib import Path

import pytest
from tests.cluster import ports
from tests.running_locally.running_up import PROGRAMS, Up, is_running, pool_file, pool_with_model, wait_until

from fleet_machine import visible_cpus


def test_ready_says_where_the_replicas_are(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", "--log-format", "json") as up:
        replicas = up.event("ready")["replicas"]
        assert [replica["name"] for replica in replicas] == ["pool-0", "pool-1"]
        for replica in replicas:
            with urllib.request.urlopen(f"{replica['http']}/readyz", timeout=30) as reply:
                assert reply.status == 200
            with socket.create_connection(("127.0.0.1", int(replica["endpoint"].rpartition(":")[2]))):
                pass
            env = Path(f"/proc/{replica['pid']}/environ").read_bytes().decode().split("\0")
            assert {f"{name}={value}" for name, value in replica["env"].items()} <= set(env)
            assert replica["env"]["ENCODERFLEET_MODEL"] == str(tmp_path / "model")
            assert replica["env"]["ENCODERFLEET_LOG_FORMAT"] == "json"
        assert len({replica["endpoint"] for replica in replicas} | {replica["http"] for replica in replicas}) == 4
        up.ctrl_c()
        assert up.end() == 0


def test_the_given_port_is_where_it_starts(tmp_path: Path) -> None:
    first = ports.in_a_row(2)
    with Up(pool_with_model(tmp_path, replicas=1), "-o", "json", "--port", str(first)) as up:
        (replica,) = up.event("ready")["replicas"]
        assert replica["endpoint"] == f"tcp://127.0.0.1:{first}"
        assert replica["http"] == f"http://127.0.0.1:{first + 1}"


def test_a_killed_replica_is_started_again(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json") as up:
        victim, other = up.event("ready")["replicas"]
        os.kill(victim["pid"], signal.SIGKILL)
        crash = up.event("crashed")
        assert (crash["replica"], crash["pid"], crash["code"]) == ("pool-0", victim["pid"], -9)
        assert crash["restart_in_seconds"] > 0
        restarted = up.event("restarted")
        assert restarted["replica"] == "pool-0"
        assert restarted["pid"] != victim["pid"]
        with urllib.request.urlopen(f"{victim['http']}/readyz", timeout=30) as reply:
            assert reply.status == 200
        assert is_running(other["pid"])
        up.ctrl_c()
        assert up.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_all(tmp_path: Path, number: signal.Signals) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", replica="--drain 0.5") as up:
        pids = [replica["pid"] for replica in up.event("ready")["replicas"]]
        up.signal(number)
        up.event("draining")
        assert {up.event("stopped")["code"], up.event("stopped")["code"]} == {0}
        up.event("drained")
        assert up.end() == 0
        assert not any(map(is_running, pids))
    assert sum("| drained" in line for line in up.err) == 2, "each replica finished and said so"


def test_ctrl_c_before_they_are_ready(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", replica="--startup 1000") as up:
        wait_until(lambda: sum("| cpus" in line for line in up.err) == 2)
        up.ctrl_c()
        up.event("draining")
        up.ctrl_c()
        up.event("drained")
        assert up.end() == 130


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", replica="--drain 1000") as up:
        pids = [replica["pid"] for replica in up.event("ready")["replicas"]]
        up.ctrl_c()
        wait_until(lambda: sum("| draining" in line for line in up.err) == 2)
        assert all(map(is_running, pids))
        up.ctrl_c()
        up.event("killing")
        assert up.end() == 130
        assert not any(map(is_running, pids))


def test_a_sigkill_of_up_leaves_no_orphan(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", replica="--deaf") as up:
        pids = [replica["pid"] for replica in up.event("ready")["replicas"]]
        assert all(map(is_running, pids))
        up.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(is_running, pids)))


def test_a_replica_that_does_not_finish_is_killed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Up(pool_with_model(tmp_path, replicas=1, drain_seconds=0), "-o", "json", replica="--deaf") as up:
        up.event("ready")
        up.ctrl_c()
        assert up.event("stopped")["code"] == -9
        assert up.end() == 1


def test_a_bad_setting_ends_it_with_the_replicas_line(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "-o", "json", "--quiet", replica="--exit 2") as up:
        assert up.end() == 2
    assert len(up.err) == 1
    assert up.err[0] in [f"Error: pool-{i} cannot start: setting pool-{i} is wrong" for i in (0, 1)]
    assert sum('"crashed"' in line for line in up.out) >= 1


def test_a_replica_that_never_starts_ends_it(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path, replicas=1), "-o", "json", "--quiet", replica="--exit 7") as up:
        message = up.event("failed")["message"]
        assert up.end() == 1
    assert up.err == [
        "Error: pool-0 never became ready in 5 starts, the last time it exited with code 7: setting pool-0 is wrong"
    ]
    assert up.err == [f"Error: {message}"]
    assert sum('"crashed"' in line for line in up.out) == 5
    assert not any('"draining"' in line for line in up.out), "nothing was left to drain"


def test_a_busy_port_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Up(pool_with_model(tmp_path), "--port", str(port)) as up:
            assert up.end() == 2
    assert up.out == []
    assert len(up.err) == 1
    assert up.err[0].startswith(f"Error: port {port} on 127.0.0.1 is busy")


def test_a_missing_model_says_how_to_get_one(tmp_path: Path) -> None:
    with Up(pool_file(tmp_path, "no-such-model"), replica="") as up:
        assert up.end() == 2
    assert up.out == []
    assert len(up.err) == 1
    assert up.err[0].startswith(f"Error: spec.model.path: there is no model in {tmp_path}/no-such-model")
    assert up.err[0].endswith(f"encoderfleet model new --family qwen2_5_vl {tmp_path}/no-such-model")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("spec: [", "cannot be read as YAML"),
        (
            "kind: EncoderPool\napiVersion: encoderfleet.io/v1alpha1\nmetadata: {name: p}\nspec: {model: {pth: x}}",
            "path",
        ),
    ],
)
def test_a_wrong_pool_file_starts_nothing(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "pool.yaml").write_text(text)
    with Up(tmp_path / "pool.yaml", "-o", "json") as up:
        assert up.end() == 2
    assert up.out == []
    assert up.err[0].startswith("Error: ")


def test_no_replicas_are_nothing_to_run(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path, replicas=0)) as up:
        assert up.end() == 2
    assert up.err == ["Error: spec.replicas: 0 leaves nothing to run here; set it to 1 or more"]


def test_the_table_has_what_one_pastes(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path)) as up:
        wait_until(lambda: any(line.startswith("Stop:") for line in up.out))
        up.ctrl_c()
        assert up.end() == 0
    rows = [line.split() for line in up.out if line.startswith("pool-")]
    assert [row[0] for row in rows] == ["pool-0", "pool-1"]
    endpoints = [row[1] for row in rows]
    assert f"Try:   encoderfleet encode --endpoint {','.join(endpoints)} FILE_OR_URL..." in up.out
    assert all(row[2].startswith("http://127.0.0.1:") and row[2].endswith("/metrics") for row in rows)
    assert all("forward" in row for row in rows)
    assert "pool-1 | drained" in up.err
    assert up.err[-1] == "All replicas have ended"


def test_quiet_leaves_the_replicas_lines_out(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path), "--quiet") as up:
        wait_until(lambda: any(line.startswith("Stop:") for line in up.out))
        up.ctrl_c()
        assert up.end() == 0
    assert not any("|" in line for line in up.err)
    assert any(line.startswith("pool-0 is ready after") for line in up.err)


def test_it_drains_when_nobody_reads_any_more(tmp_path: Path) -> None:
    pool = pool_with_model(tmp_path, replicas=1)
    program = [sys.executable, str(PROGRAMS / "up.py"), str(PROGRAMS / "replica.py"), str(pool), "-o", "json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stderr is not None
        up.stdout.readline()
        up.stdout.close()  # `ready` meets a closed pipe
        said = up.stderr.read()
        assert up.wait(60) == 0
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert said.splitlines()[-1] == "pool-0 | drained"


def test_more_replicas_than_cpus_are_refused(tmp_path: Path) -> None:
    cpus = visible_cpus().cpus
    with Up(pool_with_model(tmp_path, replicas=cpus + 1)) as up:
        assert up.end() == 2
    assert up.err == [
        f"Error: spec.replicas: {cpus + 1} replicas are more than this machine has CPUs, {cpus}: "
        f"try --replicas {cpus}, or insist with --replicas {cpus + 1}"
    ]


def test_who_insists_gets_them(tmp_path: Path) -> None:
    cpus = visible_cpus().cpus
    with Up(pool_with_model(tmp_path, replicas=1), "-o", "json", "--replicas", str(cpus + 1)) as up:
        assert any("share" in warning for warning in up.event("starting")["warnings"])
        assert len(up.event("ready")["replicas"]) == cpus + 1
        up.ctrl_c()
        assert up.end() == 0


def test_a_hung_replica_is_replaced_and_told(tmp_path: Path) -> None:
    with Up(pool_with_model(tmp_path, replicas=1), "-o", "json") as up:
        (replica,) = up.event("ready")["replicas"]
        os.kill(replica["pid"], signal.SIGSTOP)
        crash = up.event("crashed")
        assert crash["message"] == "was killed: no answer from /healthz, 6 times in a row"
        assert up.event("restarted")["pid"] != replica["pid"]
        up.ctrl_c()
        assert up.end() == 0


def test_a_broken_driver_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with Up(pool_with_model(tmp_path)) as up:
        assert up.end() == 2
    assert len(up.err) == 1
    assert up.err[0].startswith("Error: nvidia-smi fails: Driver/library version mismatch; ")
    assert "spec.resources.gpus: 0" in up.err[0]


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        started = Up(pool_with_model(tmp_path, replicas=1), "-o", "json")
    finally:
        signal.signal(signal.SIGHUP, before)
    with started as up:
        (replica,) = up.event("ready")["replicas"]
        up.signal(signal.SIGHUP)
        os.kill(replica["pid"], signal.SIGKILL)
        up.event("restarted")
        up.ctrl_c()
        assert up.end() == 0
    assert [json.loads(line)["event"] for line in up.out].count("draining") == 1


def test_lines_that_nobody_reads_hold_up_nothing(tmp_path: Path) -> None:
    pool = pool_with_model(tmp_path, replicas=1)
    replica = f"{PROGRAMS / 'replica.py'} --lines 5000"
    program = [sys.executable, str(PROGRAMS / "up.py"), replica, str(pool), "-o", "json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stderr is not None
        events = (json.loads(line)["event"] for line in up.stdout)
        assert next(events) == "starting"
        assert next(events) == "ready", "after more lines than a pipe holds"
        said: list[str] = []
        reader = threading.Thread(target=said.extend, args=(up.stderr,))
        reader.start()
        up.send_signal(signal.SIGTERM)
        assert list(events) == ["draining", "stopped", "drained"]
        assert up.wait(60) == 0
        reader.join()
    counts = [re.match(r"\((\d+) lines of the replicas are left out here", line) for line in said]
    left_out = sum(int(count[1]) for count in counts if count is not None)
    assert left_out > 0
    assert left_out + sum("| " in line for line in said) >= 5000


def test_a_frozen_terminal_freezes_nothing(tmp_path: Path) -> None:
    pool, first = pool_with_model(tmp_path, replicas=1), ports.in_a_row(2)
    replica = f"{PROGRAMS / 'replica.py'} --startup 1 --lines 5000"
    program = [sys.executable, str(PROGRAMS / "up.py"), replica, str(pool), "--port", str(first)]
    ours, its = pty.openpty()
    try:
        termios.tcflow(its, termios.TCOOFF)  # Ctrl-S
        with subprocess.Popen(program, stdin=its, stdout=its, stderr=its) as up:
            wait_until(lambda: is_ready(first + 1))
            up.send_signal(signal.SIGINT)
            assert up.wait(60) == 0
    finally:
        termios.tcflow(its, termios.TCOON)
        os.close(its)
        os.close(ours)


def test_on_one_terminal_nothing_is_written_into_another_line(tmp_path: Path) -> None:
    pool, first = pool_with_model(tmp_path, replicas=1), ports.in_a_row(2)
    replica = f"{PROGRAMS / 'replica.py'} --startup 1 --lines 50"
    program = [sys.executable, str(PROGRAMS / "up.py"), replica, str(pool), "--port", str(first)]
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 200))
    shown = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the terminal's other end was closed
            while block := os.read(ours, 4096):
                shown.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    # The terminal's width counts, not what another terminal said of its own.
    others = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**others, "TERM": "xterm-256color"}
    with subprocess.Popen(program, stdin=its, stdout=its, stderr=its, env=environment) as up:
        try:
            wait_until(lambda: b"Stop:" in shown)
        finally:
            up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    os.close(its)
    reader.join(30)
    os.close(ours)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip() for line in shown.decode().splitlines()]
    table = next(number for number, line in enumerate(lines) if line.startswith("replica "))
    assert lines[table].split() == ["replica", "endpoint", "metrics", "pid", "CPUs", "threads"]
    assert lines[table + 1].startswith("pool-0 ")
    assert lines[table + 2].startswith("Try:")
    assert lines[table + 3].startswith("Stop:")


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
