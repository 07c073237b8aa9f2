"""Which ports of 127.0.0.1 the replicas listen on."""

import dataclasses
import errno
import itertools
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleet_operator.local.claims import Claims

HOST = "127.0.0.1"
FIRST_PORT = 5570
FIRST_SGLANG_PORT = 30010
"""SGLang's own servers take 30000 where nobody says otherwise."""

LAST_PORT = 65535
EPHEMERAL = 32768
"""Automatic ports stay below: the kernel gives higher ones to anybody's outgoing connections, also between a
replica's crash and its restart."""


class PortBusyError(Exception):
    """A port that the pool needs is taken; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one replica: the ZMQ wire, HTTP for metrics and probes, and HTTP for SGLang's language servers."""

    wire: int
    http: int
    sglang: int | None = None

    @property
    def endpoint(self) -> str:
        """What a client connects to."""
        return f"tcp://{HOST}:{self.wire}"

    @property
    def http_address(self) -> str:
        """Host and port of /metrics, /healthz and /readyz."""
        return f"{HOST}:{self.http}"

    @property
    def sglang_address(self) -> str:
        """Host and port for language servers; empty where there is none."""
        return "" if self.sglang is None else f"{HOST}:{self.sglang}"

    @property
    def sglang_url(self) -> str:
        """What language servers are told; empty where there is none."""
        return self.sglang_address and f"http://{self.sglang_address}"


def pairs(first: int) -> Iterator[Ports]:
    """The ports of replica 0, 1, ... counted from `first`: two each."""
    for wire in range(first, LAST_PORT, 2):
        yield Ports(wire, wire + 1)


def choose(replicas: int, first: int | None, claims: Claims) -> list[Ports]:
    """Claim two ports for each replica.

    Args:
        replicas: How many pairs.
        first: Replica i gets `first` + 2i and `first` + 2i + 1; None takes the first free pairs from 5570 on.
        claims: Where they are held.

    Raises:
        PortBusyError: One of the range is taken, or the range ends before the replicas do.
        OSError: This process may open no further socket.
    """
    if first is not None:
        return _exactly(replicas, first, claims)
    chosen: list[Ports] = []
    for ports in pairs(FIRST_PORT):
        if len(chosen) == replicas:
            return chosen
        if ports.http >= EPHEMERAL:
            break
        if _take(ports.wire, claims):
            if _take(ports.http, claims):
                chosen.append(ports)
            else:
                claims.give_back("port", ports.wire)
    raise PortBusyError(f"no {2 * replicas} free ports on {HOST} between {FIRST_PORT} and {EPHEMERAL}")


def with_sglang(chosen: Sequence[Ports], first: int | None, claims: Claims) -> list[Ports]:
    """Claim one port more for each replica, where language servers ask.

    Args:
        chosen: The replicas' other ports.
        first: Replica i gets `first` + i; None takes the first free ones from 30010 on.
        claims: Where they are held.

    Raises:
        PortBusyError: One of the range is taken, or the range ends before the replicas do.
        OSError: This process may open no further socket.
    """
    if first is not None:
        numbers: Sequence[int] = range(first, first + len(chosen))
        for port in numbers:
            if port > LAST_PORT or not _take(port, claims):
                raise PortBusyError(
                    f"port {port} on {HOST} is busy or over {LAST_PORT}: give another first port with --sglang-port, "
                    "or leave it out"
                )
    else:
        free = (port for port in range(FIRST_SGLANG_PORT, EPHEMERAL) if _take(port, claims))
        numbers = list(itertools.islice(free, len(chosen)))
        if len(numbers) < len(chosen):
            raise PortBusyError(f"no {len(chosen)} free ports on {HOST} between {FIRST_SGLANG_PORT} and {EPHEMERAL}")
    return [dataclasses.replace(ports, sglang=port) for ports, port in zip(chosen, numbers, strict=True)]


def _exactly(replicas: int, first: int, claims: Claims) -> list[Ports]:
    last = first + 2 * replicas - 1
    need = "1 replica needs" if replicas == 1 else f"{replicas} replicas need"
    if last > LAST_PORT:
        raise PortBusyError(f"{need} ports {first} to {last}, and {LAST_PORT} is the last: lower --port")
    chosen = [ports for ports, _ in zip(pairs(first), range(replicas), strict=False)]
    for ports in chosen:
        for port in (ports.wire, ports.http):
            if not _take(port, claims):
                raise PortBusyError(
                    f"port {port} on {HOST} is busy, and {need} {first} to {last}: stop what "
                    "listens there, give another first port with --port, or leave --port out"
                )
    return chosen


def _take(port: int, claims: Claims) -> bool:
    return is_free(port) and claims.take("port", port)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now.

    Raises:
        OSError: That cannot be found out, as this process may open no further socket.
        PortBusyError: Only a privileged process may.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not block
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except PermissionError as error:
            raise PortBusyError(f"port {port} on {HOST} is for root only: give a higher one with --port") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
