"""Load on an encoder in the manner of SGLang's language server; a process of its own, one JSON object on stdout.

As its receiver does: a PULL socket and an HTTP connection for each request, which ends with both the HTTP answer and
the embedding. Media are unique, so that no cache helps. With `--seconds 0` it ends when stdin is closed.
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import zmq
import zmq.asyncio

from bench.media import uniquely

HOST = "127.0.0.1"
ANSWER_SECONDS = 600.0


class Load:
    """A number of requests at a time, each followed by the next (closed loop).

    Args:
        url: Of the encoder.
        item: Number -> what goes into `mm_items`.
        modality: IMAGE or VIDEO.
    """

    def __init__(self, url: str, item: Callable[[int], str], modality: str) -> None:
        self._url = url
        self._item = item
        self._modality = modality
        self._context = zmq.asyncio.Context()
        self._numbers = itertools.count()
        self._name = os.urandom(6).hex()
        self.latencies_ms: list[float] = []
        self.failures: list[str] = []
        self.over = asyncio.Event()

    async def run(self, concurrency: int, seconds: float, count: int) -> dict[str, Any]:
        """`count` requests; with 0 as many as begin within `seconds`, or until stdin is closed."""
        started = perf_counter()
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.over.set)
        elif not count:
            asyncio.get_running_loop().add_reader(0, self._read_stdin)

        async def keep_asking() -> None:
            while not self.over.is_set() and not (count and (number := next(self._numbers)) >= count):
                await self._ask(number if count else next(self._numbers))

        await asyncio.gather(*(keep_asking() for _ in range(concurrency)))
        return {
            "latencies_ms": self.latencies_ms,
            "seconds": perf_counter() - started,
            "failed": len(self.failures),
            "failures": self.failures[:5],
        }

    def _read_stdin(self) -> None:
        if not os.read(0, 4096):
            self.over.set()
            asyncio.get_running_loop().remove_reader(0)

    async def _ask(self, number: int) -> None:
        body = {
            "req_id": f"{self._name}{number}_local_part_0",
            "num_parts": 1,
            "part_idx": 0,
            "modality": self._modality,
            "mm_items": [self._item(number)],
            "prefill_host": HOST,
            "encoder_idx": 0,
        }
        socket = self._context.socket(zmq.PULL)
        body["embedding_port"] = socket.bind_to_random_port(f"tcp://{HOST}")
        began = perf_counter()
        try:
            async with asyncio.timeout(ANSWER_SECONDS), aiohttp.ClientSession() as session:
                async with session.post(f"{self._url}/encode", json=body) as answer:
                    if answer.status != 200:
                        self.failures.append(f"{answer.status}: {(await answer.text())[:200]}")
                        return
                if not (await socket.recv_multipart())[1]:
                    self.failures.append("an empty embedding")
                    return
            self.latencies_ms.append(1e3 * (perf_counter() - began))
        except (TimeoutError, aiohttp.ClientError, IndexError) as error:
            self.failures.append(repr(error))
        finally:
            socket.close(linger=0)


def files(paths: list[Path]) -> Callable[[int], str]:
    """The files in turn as data URIs, each time with other bytes."""
    make = [uniquely(path) for path in paths]
    kind = "video/mp4" if paths[0].suffix == ".mp4" else "image/jpeg"
    serial = int.from_bytes(os.urandom(6))

    def item(number: int) -> str:
        data = make[number % len(make)](serial + number)
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    return item


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", help="media files, or one URL")
    parser.add_argument("--url", required=True, help="of the encoder")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until stdin is closed")
    parser.add_argument("--count", type=int, default=0, help="so many requests, however long they take")
    arguments = parser.parse_args()
    first = arguments.sources[0]
    if first.startswith("http"):
        item: Callable[[int], str] = lambda number: f"{first}?{number}"  # noqa: E731 - as short as it gets
    else:
        item = files([Path(each) for each in arguments.sources])
    load = Load(arguments.url, item, "VIDEO" if first.endswith(".mp4") else "IMAGE")
    json.dump(asyncio.run(load.run(arguments.concurrency, arguments.seconds, arguments.count)), sys.stdout)


if __name__ == "__main__":
    main()
