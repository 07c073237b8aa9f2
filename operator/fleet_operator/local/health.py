"""Finds out when a replica is ready, and when it has hung."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from fleet_operator.local import probes

READY_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a replica is waited for.

    Attributes:
        start_seconds: From its start until it is ready.
        probe_interval: Seconds between two questions whether it is ready.
        health_interval: Seconds between two questions whether a ready one still lives; an answer may take as long.
        health_failures: Questions in a row without a good answer, after which it has hung.
    """

    start_seconds: float = 600.0
    probe_interval: float = 0.2
    health_interval: float = 5.0
    health_failures: int = 6


async def until_ready(address: str, patience: Patience, on_progress: Callable[[str], None]) -> bool:
    """Ask `/readyz` at host:port `address` until it is ready; False where that took longer than it may."""
    deadline = monotonic() + patience.start_seconds
    while monotonic() < deadline:
        answer = await probes.ask(address, "/readyz", READY_TIMEOUT)
        on_progress(answer.said)
        if answer.ok:
            return True
        await asyncio.sleep(patience.probe_interval)
    return False


async def until_hung(address: str, patience: Patience) -> None:
    """Ask `/healthz` of a ready replica; returns when it has not answered well several times in a row."""
    failures = 0
    while failures < patience.health_failures:
        asked = monotonic()
        answer = await probes.ask(address, "/healthz", patience.health_interval)
        failures = 0 if answer.ok else failures + 1
        await asyncio.sleep(max(0.0, asked + patience.health_interval - monotonic()))
