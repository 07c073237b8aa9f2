"""The kernel watches both ends of a connection; `/proc/net/tcp` shows its timers."""

import time
from pathlib import Path

from conftest import EncoderProcess
from fleet_client import Client, image

KEEPALIVE = "02"
"""Kind of a socket's timer, the field `tr`: 01 is for data that was not acknowledged yet."""
ESTABLISHED = "01"


def timers(port: int) -> dict[str, str]:
    """Timer of each established connection's end whose own or other port is `port`: own address -> kind."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, own, other, state, _, timer, *_ = line.split()
        if state == ESTABLISHED and f"{port:04X}" in (own.partition(":")[2], other.partition(":")[2]):
            found[own] = timer.partition(":")[0]
    return found


def test_both_ends_of_an_idle_connection_are_watched(vision_encoder: EncoderProcess, photos: Path) -> None:
    port = int(vision_encoder.endpoint.rpartition(":")[2])
    before = timers(port)
    with Client(vision_encoder.endpoint) as client:
        client.encode([image(photos / "rocket.jpg")])
        deadline = time.monotonic() + 30
        while True:
            mine = {own: kind for own, kind in timers(port).items() if own not in before}
            assert len(mine) == 2
            if set(mine.values()) == {KEEPALIVE}:
                break
            assert time.monotonic() < deadline, f"what was sent is acknowledged by now, and nothing watches: {mine}"
            time.sleep(0.05)
