"""`make bench-operator`: the operator with many pools and nodes, on a real API server, in one run.

Nodes are KWOK's, everything else is real: API server, scheduler, controllers, and the operator's own process with the
rights of an admin. JSON lines on stdout; what is to be reached, last. The floor is the same objects, applied by a bare
client that decides nothing. `docs/performance.md` says how to read it.
"""

import argparse
import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from tests.cluster import build, nodes
from tests.cluster.control_plane import ControlPlane
from tests.cluster.definitions import define
from tests.operating.operator_process import OperatorProcess

from bench import machine, scrape
from bench.report import emit
from bench.stats import percentile
from fleet_operator.kube.client import Api
from fleet_operator.kube.configuration import load_configuration
from fleet_operator.kube.resources import RESOURCES

SHAPES = (("p5.48xlarge", 192, 8), ("g6e.12xlarge", 48, 4), ("g6.8xlarge", 32, 1), ("m7i.16xlarge", 64, 0))
TYPE = "node.kubernetes.io/instance-type"
TEAM = "bench/team"
TEAMS = 50
SHARED = 10
"""One pool of so many may use all nodes of its shape; the others those of their team."""
STEADY_SECONDS = 60.0
JOINS = 20
NEW_POOLS = 40
PARALLEL = 16
CHILDREN = ("ServiceAccount", "Service", "PodDisruptionBudget", "Deployment")

Object = dict[str, Any]


def team(number: int) -> str:
    """Whose a node or a pool is: all shapes of nodes in turn, then the next team."""
    return f"team-{number // len(SHAPES) % TEAMS}"


def pool(name: str, namespace: str, number: int) -> Object:
    """A pool on nodes of one shape: those of its team, or all."""
    kind, _, gpus = SHAPES[number % len(SHAPES)]
    own = {} if number % SHARED == 0 else {TEAM: team(number)}
    return {
        "apiVersion": "encoderfleet.io/v1alpha1",
        "kind": "EncoderPool",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "model": {"path": "/models/vl"},
            "resources": {"gpus": 1} if gpus else {"gpus": 0, "cpus": 4},
            "scheduling": {"nodeSelector": {TYPE: kind, **own}},
            # The load of pretend pods cannot be read: that is measured elsewhere.
            "autoscaling": {"mode": "Off"},
        },
    }


async def at_once(work: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Some of it side by side, until all is done."""
    limit = asyncio.Semaphore(PARALLEL)

    async def one(each: Callable[[], Awaitable[Any]]) -> None:
        async with limit:
            await each()

    await asyncio.gather(*(one(each) for each in work))


Events = AsyncIterator[tuple[float, str, Object]]
"""When, what, and which object."""


async def watch(api: Api, kind: str, namespace: str) -> Events:
    """What happens from now on, for as long as it is asked.

    Not what there is: while the API server sends that, what is new piles up, and it ends the watch of who is too slow.
    """
    there = await api._request("list", kind, namespace, query={"limit": "1"})
    return _events(api, kind, namespace, there["metadata"]["resourceVersion"])


async def _events(api: Api, kind: str, namespace: str, version: str) -> Events:
    path = RESOURCES[kind].path(namespace) + f"?watch=true&resourceVersion={version}"
    client, url = api._client, api._configuration.host + path
    # An API server that is busy says 429 or 500, and nobody but us asks again.
    while True:
        response = await client.call_api("GET", url, {}, _request_timeout=86400)
        if response.status == 200:
            break
        await asyncio.sleep(0.1)
    async for line in response.response.content:
        event = json.loads(line)
        yield time.monotonic(), event["type"], event["object"]
    raise RuntimeError("the watch has ended")


def planned(body: Object) -> bool:
    """Whether the pool's threads are planned."""
    conditions = body.get("status", {}).get("conditions", ())
    return any(each["type"] == "ThreadsPlanned" and each["status"] == "True" for each in conditions)


def resident(pid: int) -> int:
    """Memory of a process, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def requests(operator: OperatorProcess) -> dict[str, int]:
    """What it has asked the API server so far, by verb and kind."""
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(operator.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == "encoderfleet_api_requests_total":
                what = f"{sample.labels['verb']} {sample.labels['kind']}"
                found[what] = found.get(what, 0) + int(sample.value)
    return found


async def quiet(operator: OperatorProcess) -> float:
    """Wait until the operator has written nothing for ten seconds; its writes until then."""
    while True:
        before = await asyncio.to_thread(operator.writes)
        await asyncio.sleep(10)
        if await asyncio.to_thread(operator.writes) == before:
            return before


async def all_planned(api: Api, namespace: str, count: int, begin: float) -> float:
    """Seconds from `begin` until every pool is planned."""
    done: set[str] = set()
    async for moment, _, body in await watch(api, "EncoderPool", namespace):
        if planned(body):
            done.add(body["metadata"]["name"])
        if len(done) == count:
            return moment - begin
    raise RuntimeError("the watch has ended")


async def joins(api: Api, cluster: ControlPlane, namespace: str, count: int) -> list[float]:
    """Seconds from a node's creation until each pool that may use it says so, over several nodes.

    As many pools as may use nodes of the shape: those of one team, and the shared ones.
    """
    waits: list[float] = []
    kind, cpus, gpus = SHAPES[0]
    there = {
        each["metadata"]["name"]: each["status"]["threadPlan"][0]["nodes"]
        async for each in api.list("EncoderPool", namespace)
        if each["spec"]["scheduling"]["nodeSelector"] in ({TYPE: kind}, {TYPE: kind, TEAM: team(0)})
    }
    if not there:
        raise RuntimeError("no pool may use such nodes")
    stream = await watch(api, "EncoderPool", namespace)
    for number in range(count):
        late = set(there)
        begin = time.monotonic()
        node = nodes.node(f"joining-{number}", cpus=cpus, gpus=gpus, labels={TYPE: kind, TEAM: team(0)})
        await asyncio.to_thread(nodes.create, cluster.kubeconfig, [node])
        async for moment, _, body in stream:
            name = body["metadata"]["name"]
            rows = body.get("status", {}).get("threadPlan") or [{"nodes": 0}]
            if name in late and rows[0]["nodes"] > there[name] + number:
                late.discard(name)
                waits.append(moment - begin)
            if not late:
                break
        await asyncio.sleep(1)
    return waits


async def applies(api: Api, namespace: str, first: int, count: int) -> list[float]:
    """Seconds from the creation of a pool until its Deployment is there, one pool after the other under churn."""
    begins: dict[str, float] = {}
    waits: list[float] = []

    async def look() -> None:
        async for moment, what, body in await watch(api, "Deployment", namespace):
            name = body["metadata"]["labels"].get("encoderfleet.io/pool", "")
            if what == "ADDED" and name in begins:
                waits.append(moment - begins.pop(name))
            if len(waits) == count:
                return

    async def churn() -> None:
        """All the while other pools are scaled up and down."""
        number = 0
        while True:
            number += 1
            body = {"spec": {"replicas": 1 + number % 2}}
            await api.patch("EncoderPool", namespace, f"pool-{number % 50}", body, subresource="scale")
            await asyncio.sleep(0.05)

    looking, churning = asyncio.create_task(look()), asyncio.create_task(churn())
    await asyncio.sleep(1)
    for number in range(count):
        name = f"new-{number}"
        begins[name] = time.monotonic()
        await api.create(pool(name, namespace, first + number))
        await asyncio.sleep(0.25)
    await looking
    churning.cancel()
    await asyncio.gather(churning, return_exceptions=True)
    return waits


async def floor(api: Api, namespace: str, copy_to: str) -> float:
    """Seconds that a bare client takes to apply what the operator applied, and to write as many statuses."""
    bodies = []
    for kind in CHILDREN:
        async for each in api.list(kind, namespace, labelSelector="encoderfleet.io/pool"):
            meta = each["metadata"]
            kept = {key: meta[key] for key in ("name", "labels", "annotations") if key in meta}
            body = {key: value for key, value in each.items() if key not in ("status", "metadata")}
            body |= {"apiVersion": RESOURCES[kind].api_version, "kind": kind}
            bodies.append({**body, "metadata": {**kept, "namespace": copy_to}})
            if kind == "Service":
                spec = {key: body["spec"][key] for key in ("selector", "ports")}
                bodies[-1]["spec"] = {**spec, "clusterIP": "None"}
    statuses = [
        (each["metadata"]["name"], each["status"])
        async for each in api.list("EncoderPool", namespace)
        if "status" in each
    ]
    begin = time.monotonic()
    await at_once([lambda body=body: api.apply(body) for body in bodies])
    await at_once(
        [
            lambda name=name, status=status, change=change: api.patch(
                "EncoderPool", namespace, name, {"status": {**status, "bottleneck": change}}, subresource="status"
            )
            for change in ("cpu",)
            for name, status in statuses
        ]
    )
    return time.monotonic() - begin


async def run(pools: int, count: int, console: Console, folder: Path) -> None:
    """All of it."""
    emit(event="machine", **machine.describe())
    with ControlPlane(build.ensure(console.print), folder) as cluster:
        define(cluster)
        console.print(f"creating {count} nodes of {len(SHAPES)} shapes, and {pools} pools")
        made = [
            nodes.node(f"node-{number}", cpus=cpus, gpus=gpus, labels={TYPE: kind, TEAM: team(number), "bench": "yes"})
            for number in range(count)
            for kind, cpus, gpus in [SHAPES[number % len(SHAPES)]]
        ]
        await asyncio.to_thread(nodes.create, cluster.kubeconfig, made)
        await asyncio.to_thread(nodes.wait_until_ready, cluster.kubeconfig, "bench=yes", count)
        namespace, other = cluster.create_namespace("bench"), cluster.create_namespace("floor")
        async with Api(await load_configuration(cluster.kubeconfig), "bench") as api:
            await at_once([lambda n=n: api.create(pool(f"pool-{n}", namespace, n)) for n in range(pools)])
            operator = OperatorProcess(cluster.kubeconfig, (), folder / "operator.log")
            try:
                await measure(api, cluster, operator, namespace, pools, count, console)
            finally:
                operator.kill()
            seconds = await floor(api, namespace, other)
            emit(event="floor", what="a bare client applies the same objects and statuses", seconds=seconds)


async def measure(
    api: Api,
    cluster: ControlPlane,
    operator: OperatorProcess,
    namespace: str,
    pools: int,
    count: int,
    console: Console,
) -> None:
    """Everything about the operator."""
    begin = time.monotonic()
    pid = operator.process.pid
    console.print("the operator starts")
    seconds = await all_planned(api, namespace, pools, begin)
    emit(
        event="first_planned",
        pools=pools,
        nodes=count,
        seconds=seconds,
        cpu_seconds=machine.process_seconds(pid),
        requests=await asyncio.to_thread(requests, operator),
    )

    console.print("until all pods run and nothing is written any more")
    before = await quiet(operator)
    cpu = machine.process_seconds(pid)
    await asyncio.sleep(STEADY_SECONDS)
    idle = (machine.process_seconds(pid) - cpu) / STEADY_SECONDS
    steady = (await asyncio.to_thread(operator.writes) - before) * 60 / STEADY_SECONDS
    emit(event="steady", writes_per_minute=steady, cpu_share=idle, rss_mib=resident(pid))

    console.print(f"{JOINS} nodes join")
    waits = await joins(api, cluster, namespace, JOINS)
    p99_join = percentile(waits, 99)
    emit(event="node_join", joins=JOINS, statuses=len(waits), p50=percentile(waits, 50), p99=p99_join)

    console.print(f"{NEW_POOLS} pools are applied while others are scaled")
    waits = await applies(api, namespace, pools, NEW_POOLS)
    emit(event="pool_apply", pools=NEW_POOLS, p50=percentile(waits, 50), p99=percentile(waits, 99))
    memory = resident(pid)
    emit(event="operator", rss_mib=memory, cpu_seconds=machine.process_seconds(pid))
    for what, value, most in (
        ("writes a minute in steady state", steady, 0),
        ("node join -> status, p99 in s", p99_join, 1.0),
        ("memory of the operator in MiB", memory, 300),
    ):
        met = value <= most
        emit(event="target", what=what, value=value, to_reach=most, met=met)
        console.print(f"{'met' if met else 'MISSED':7} {what}: {value:.3g} (to reach: {most})")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=5000)
    arguments = parser.parse_args()
    seconds = scrape.run()
    emit(event="target", what="reading 1,000 pods in s", value=seconds, to_reach=5.0, met=seconds < 5)
    with TemporaryDirectory() as folder:
        asyncio.run(run(arguments.pools, arguments.nodes, Console(stderr=True), Path(folder)))


if __name__ == "__main__":
    main()
