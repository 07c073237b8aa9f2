"""What reading the load of many pods costs the operator: `python -m bench.scrape`, and a part of `make bench-operator`.

A server in a process of its own gives what a fresh encoder gives the operator; the scraper reads it as 1,000 pods. The
floor is as many bare requests for the same bytes, of which nothing is read.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections import Counter
from multiprocessing.connection import Connection

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bench.report import emit
from fleet_encoder.metrics import Metrics
from fleet_operator.autoscale import SERIES
from fleet_operator.scaling.scrape import CONNECTIONS, PATH, Scraper

PODS = 1000
ROUNDS = 5
STAGES = ("fetch", "inspect", "decode", "preprocess", "forward", "forward_long")


def serve(tell: Connection) -> None:
    """A fresh encoder's metrics, made once: a thousand pods make theirs on a thousand machines."""
    metrics = Metrics()
    for stage in STAGES:
        metrics.stage(stage).watch(lambda: 0, 1)
    metrics.info.info({"device": "cuda", "fingerprint": "f00d"})
    text = generate_latest(metrics.registry.restricted_registry(SERIES))

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/metrics", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=CONNECTIONS).start()
        tell.send("{}:{}".format(*runner.addresses[0]))
        await asyncio.Event().wait()

    asyncio.run(run())


async def measure(address: str) -> dict[str, float]:
    """Medians, in seconds for `PODS` pods: the scraper's, its CPU time, and the floor."""
    pods = {f"pod-{number}": address for number in range(PODS)}
    ours, cpu, floor = [], [], []
    outcomes: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with (
        Scraper(lambda outcome: outcomes.update([outcome])) as scraper,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def bare() -> None:
            async with session.get(f"http://{address}{PATH}") as answer:
                await answer.read()

        for _ in range(ROUNDS):
            begin, used = time.perf_counter(), time.process_time()
            readings = await scraper.read(pods)
            ours.append(time.perf_counter() - begin)
            cpu.append(time.process_time() - used)
            if len(readings) < PODS:
                raise RuntimeError(f"not all pods were read: {outcomes}")
            begin = time.perf_counter()
            await asyncio.gather(*(bare() for _ in range(PODS)))
            floor.append(time.perf_counter() - begin)
    return {
        "seconds": statistics.median(ours),
        "cpu_seconds": statistics.median(cpu),
        "floor_seconds": statistics.median(floor),
    }


def run() -> float:
    """Measure and print; the seconds for all pods."""
    hear, tell = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(tell,), daemon=True)
    server.start()
    try:
        found = asyncio.run(measure(hear.recv()))
    finally:
        server.terminate()
    emit(event="scrape", pods=PODS, **found, ratio=found["seconds"] / found["floor_seconds"])
    return found["seconds"]


if __name__ == "__main__":
    run()
