"""The programs under test: how each is started, when it is ready, how it is ended."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import zmq

from fleet_client.protocol import Hello, Welcome, pack, unpack_from_server

READY_SECONDS = 120.0
END_SECONDS = 40.0
STEERING = ("OMP_", "MKL_", "OPENBLAS_", "SGLANG_", "ENCODERFLEET_")
"""Variables that would steer a system under test do not come from the caller's shell."""


class BenchError(Exception):
    """The run is void; the text says why."""


@dataclass(frozen=True, slots=True)
class System:
    """A program under test: its command, to which the endpoint is added by `bind`, and its environment."""

    name: str
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A ready system."""

    name: str
    endpoint: str
    pid: int
    welcome: Welcome


def today(model: Path, endpoint: str) -> System:
    """Today's way: no variable steers it."""
    command = [sys.executable, "-m", "bench.baselines.today", "--model", str(model), "--bind", endpoint]
    return System("today", command, {})


def ours(plan: dict[str, str], endpoint: str) -> System:
    """One encoder with the environment that its pool's plan gives it."""
    environment = {**plan, "ENCODERFLEET_BIND": endpoint, "ENCODERFLEET_HTTP": "127.0.0.1:0"}
    return System("ours", [sys.executable, "-m", "fleet_encoder"], environment)


def free_endpoint() -> str:
    """A loopback endpoint whose port was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def running(system: System, endpoint: str, log: Path) -> Iterator[Running]:
    """Start the system, wait until it says that it is ready, end it at the end.

    Raises:
        BenchError: It ended, or was not ready in time; with the end of its log.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(STEERING)}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            system.command, env=environment | system.environment, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
    try:
        welcome = _wait_until_ready(process, endpoint)
        if welcome is None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise BenchError(f"{system.name} did not become ready; the end of its log:\n{tail}")
        yield Running(system.name, endpoint, process.pid, welcome)
    finally:
        _end(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", endpoint: str) -> Welcome | None:
    probe: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    probe.connect(endpoint)
    until = monotonic() + READY_SECONDS
    try:
        while process.poll() is None and monotonic() < until:
            probe.send(pack(Hello(client="bench")))
            while probe.poll(250):
                answer = unpack_from_server(probe.recv_multipart()[0])
                if isinstance(answer, Welcome) and answer.ready:
                    return answer
        return None
    finally:
        probe.close(linger=0)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
