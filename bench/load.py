"""Load generator, a process of its own: one JSON object on stdout when it is done.

`media` and `urls` keep a number of one-item requests outstanding (closed loop) and measure the time from sending one
to its result. `pings` measures how long the server's event loop lets a message wait: a `Hello` from a connection
that does nothing else, every 10 ms whether or not earlier ones were answered: a long stall counts many times.

The first line on stdout is `started`, when the first message is out. With `--seconds 0` it ends when stdin is closed.
"""

import argparse
import itertools
import json
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import zmq

from bench.media import uniquely
from fleet_client.protocol import Encode, Hello, Item, Result, Status, Welcome, pack, unpack_from_server

DRAIN_SECONDS = 30.0
STDIN = 0

Request = tuple[Item, list[bytes]]


class Connection:
    """One DEALER, and stdin as the sign to stop."""

    def __init__(self, endpoint: str, seconds: float) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.set(zmq.SNDHWM, 0)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.connect(endpoint)
        self.poller = zmq.Poller()
        self.poller.register(self.socket, zmq.POLLIN)
        self.until = float("inf") if seconds == 0 else seconds
        if seconds == 0:
            self.poller.register(STDIN, zmq.POLLIN)
        self.started = 0.0

    def start(self) -> None:
        """Say that the first message is out; time runs from here."""
        self.started = perf_counter()
        print("started", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return perf_counter() - self.started

    @property
    def over(self) -> bool:
        """Time is up, or stdin was closed."""
        return self.elapsed >= self.until

    def wait(self, seconds: float) -> bool:
        """Wait for a message, at most so long; True where there is one."""
        ready = dict(self.poller.poll(max(0, round(seconds * 1000))))
        if STDIN in ready and not os.read(STDIN, 4096):
            self.until = self.elapsed
            self.poller.unregister(STDIN)
        return self.socket in ready


def closed_loop(
    connection: Connection, requests: Callable[[int], Request], concurrency: int, ramp: float
) -> dict[str, object]:
    """Keep `concurrency` requests outstanding.

    Those that end between `ramp` seconds and the end make the rate. Latencies are those of all that end after the ramp,
    the last ones included: where a server stands still, nothing ends in time.
    """
    sent: dict[str, float] = {}
    latencies: list[float] = []
    stages: list[dict[str, float]] = []
    failures: list[str] = []
    counted = 0
    numbers = itertools.count()

    def send() -> None:
        number = next(numbers)
        item, frames = requests(number)
        header = pack(Encode(id=str(number), items=[item]))
        sent[str(number)] = perf_counter()
        connection.socket.send_multipart([header, *frames])

    for _ in range(concurrency):
        send()
    connection.start()
    while sent and connection.elapsed < connection.until + DRAIN_SECONDS:
        if not connection.wait(0.1):
            continue
        header, *frames = connection.socket.recv_multipart()
        message = unpack_from_server(header)
        if not isinstance(message, Result):
            continue
        latency = perf_counter() - sent.pop(message.id)
        if problem := _problem(message, frames):
            failures.append(problem)
        elif connection.elapsed >= ramp:
            counted += not connection.over
            latencies.append(latency * 1e3)
            stages.append(message.stage_ms or {})
        if not connection.over:
            send()
    return {
        "latencies_ms": latencies,
        "counted": counted,
        "seconds": min(connection.until, connection.elapsed) - ramp,
        "stages": stages,
        "failures": failures[:5],
        "failed": len(failures) + len(sent),
    }


def _problem(result: Result, frames: list[bytes]) -> str:
    """Why the answer is no embedding, or an empty string."""
    if result.status is not Status.OK or result.tensor is None or result.meta is None:
        return f"{result.status}: {result.message}"
    if result.cached:
        return "answered from a cache: the media were not unique"
    if result.tensor.shape[0] != result.meta.tokens or not frames[result.tensor.frame]:
        return f"{result.tensor.shape[0]} rows for {result.meta.tokens} tokens"
    return ""


def ping(connection: Connection, interval: float) -> dict[str, object]:
    """A `Hello` each `interval` seconds; answers come in the order of the questions."""
    outstanding: deque[float] = deque()
    latencies: list[float] = []
    hello = pack(Hello(client="lag"))
    connection.start()
    tick = connection.started
    while connection.elapsed < connection.until + DRAIN_SECONDS:
        now = perf_counter()
        if not connection.over and now >= tick:
            connection.socket.send(hello)
            outstanding.append(perf_counter())
            # Where this process itself was late, it does not catch up in a burst.
            tick = max(tick + interval, now)
        elif connection.over and not outstanding:
            break
        elif connection.wait(min(0.1, max(0.0, tick - now)) if not connection.over else 0.1):
            answer = unpack_from_server(connection.socket.recv_multipart()[0])
            if isinstance(answer, Welcome):
                latencies.append((perf_counter() - outstanding.popleft()) * 1e3)
    return {
        "latencies_ms": latencies,
        "counted": len(latencies),
        "seconds": connection.until,
        "failed": len(outstanding),
        "failures": [],
    }


def media_requests(paths: list[Path], serial: int) -> Callable[[int], Request]:
    """Requests that carry the files in turn, each time with other bytes."""
    make = [(uniquely(path), path.suffix == ".mp4") for path in paths]

    def request(number: int) -> Request:
        data, is_video = make[number % len(make)]
        return Item(modality="video" if is_video else "image", frame=0), [data(serial + number)]

    return request


def url_requests(url: str) -> Callable[[int], Request]:
    """Requests for an image at an URL, each time with another query."""
    return lambda number: (Item(modality="image", url=f"{url}?{number}"), [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["media", "urls", "pings"])
    parser.add_argument("sources", nargs="*", help="media files, or one URL")
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="0: until stdin is closed")
    parser.add_argument("--ramp", type=float, default=0.0, help="seconds at the start that do not count")
    parser.add_argument("--interval", type=float, default=0.01, help="seconds between pings")
    arguments = parser.parse_args()
    connection = Connection(arguments.endpoint, arguments.seconds)
    if arguments.kind == "pings":
        done = ping(connection, arguments.interval)
    else:
        requests = (
            url_requests(arguments.sources[0])
            if arguments.kind == "urls"
            else media_requests([Path(each) for each in arguments.sources], int.from_bytes(os.urandom(6)))
        )
        done = closed_loop(connection, requests, arguments.concurrency, arguments.ramp)
    print(json.dumps(done), flush=True)
    zmq.Context.instance().destroy(linger=0)


if __name__ == "__main__":
    main()
