"""Looks at pools whose encoders are real servers; what is known of the cluster is put in by hand, as watches would."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kubernetes.aio import client
from tests.cluster import ports

from autoscaling.encoders import serving, tell
from fleet_operator.api import EncoderPool
from fleet_operator.autoscale import Decision
from fleet_operator.kube.client import Api
from fleet_operator.kube.events import Recorder
from fleet_operator.metrics import Metrics
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.scaling.scaler import Scaler
from fleet_operator.scaling.scrape import Scraper
from fleet_operator.scaling.watched import Watched
from fleet_operator.specs.names import POOL_LABEL

KEY = Key("team", "vision")
FEW: dict[str, Any] = {"replicas": 2, "autoscaling": {"mode": "Auto", "minReplicas": 5}}
"""A pool that has fewer than its bounds allow: so much is decided whatever its encoders say."""


def a_pool(generation: int = 1, *, name: str = "vision", uid: str = "one", version: int = 0, **spec: Any) -> Any:
    """An API object."""
    version = version or generation
    meta = {"namespace": "team", "name": name, "uid": uid, "generation": generation, "resourceVersion": str(version)}
    api = {"apiVersion": "encoderfleet.io/v1alpha1", "kind": "EncoderPool"}
    return {**api, "metadata": meta, "spec": {"model": {"path": "/models/vl"}, **FEW, **spec}}


def a_pod(address: str, name: str = "vision-any-1", phase: str = "Running") -> Any:
    """An API object."""
    meta = {"namespace": "team", "name": name, "labels": {POOL_LABEL: "vision"}}
    return {"metadata": meta, "status": {"phase": phase, "podIP": address.partition(":")[0]}}


class Looking:
    """A scaler whose API server is out of reach: what it would write is counted.

    Attributes:
        asked: Verb and kind of each request.
        changed: Pools of which something new was to be told.
    """

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.metrics = Metrics()
        self.asked: list[tuple[str, str]] = []
        self.changed: list[Key] = []
        (port,) = ports.free(1)
        self.api = Api(
            client.Configuration(host=f"http://127.0.0.1:{port}"),
            "test",
            lambda verb, kind, *_: self.asked.append((verb, kind)),
        )
        recorder = Recorder(self.api, "test", "test")
        self.scaler = Scaler(self.api, self.mirror, recorder, self.metrics, self.changed.extend, 15)

    async def look(self, times: int = 1) -> None:
        """At all pools."""
        async with Scraper(lambda _: None) as scraper:
            for _ in range(times):
                await self.scaler.look(scraper)

    def series(self, pool: str = "vision") -> set[str]:
        """Of a pool's load."""
        return {
            family.name.removeprefix("encoderfleet_pool_")
            for family in self.metrics.pools.collect()
            for sample in family.samples
            if sample.labels["pool"] == pool
        }


@pytest.fixture
async def looking() -> AsyncIterator[Looking]:
    """Nothing is known yet."""
    made = Looking()
    async with made.api:
        yield made


async def test_a_defect_with_one_pool_is_no_other_pools(
    looking: Looking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decide = Watched.decide
    fails = True

    def fail(self: Watched, pool: EncoderPool, *rest: Any) -> Decision:
        if fails and pool.metadata.name == "broken":
            raise ZeroDivisionError("nobody thought of this")
        return decide(self, pool, *rest)

    monkeypatch.setattr(Watched, "decide", fail)
    for name in ("broken", "whole"):
        looking.mirror.put_pool(a_pool(name=name))
    with caplog.at_level(logging.ERROR):
        await looking.look(3)
    assert looking.scaler.decision(Key("team", "whole"))
    assert looking.metrics.registry.get_sample_value("encoderfleet_scaling_errors_total") == 3
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.exc_info] == ["team/broken"]
    assert looking.series("broken") == set()

    fails = False
    await looking.look()
    assert looking.scaler.decision(Key("team", "broken"))


CHANGES: dict[str, Callable[[Mirror], object]] = {
    "another number": lambda mirror: mirror.put_pool(a_pool(2, replicas=9)),
    "paused": lambda mirror: mirror.put_pool(a_pool(2, paused=True)),
    "off": lambda mirror: mirror.put_pool(a_pool(2, autoscaling={"mode": "Off"})),
    "deleted": lambda mirror: mirror.remove_pool(*KEY, a_pool()["metadata"]["uid"]),
    "made anew": lambda mirror: mirror.put_pool(a_pool(1, uid="another", version=9)),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_somebody_changes_while_encoders_are_asked_stays(looking: Looking, change: str) -> None:
    async def answer(writer: Any) -> None:
        CHANGES[change](looking.mirror)
        await tell(writer)

    looking.mirror.put_pool(a_pool())
    async with serving(answer, pod=True) as address:
        looking.mirror.put_pod(a_pod(address))
        await looking.look()
    assert looking.asked == []
    assert looking.series() == set()
    assert looking.metrics.registry.get_sample_value("encoderfleet_scaling_errors_total") == 0


async def test_a_status_that_is_written_meanwhile_keeps_nobody_from_scaling(looking: Looking) -> None:
    async def answer(writer: Any) -> None:
        looking.mirror.put_pool(a_pool(version=7))
        await tell(writer)

    looking.mirror.put_pool(a_pool())
    async with serving(answer, pod=True) as address:
        looking.mirror.put_pod(a_pod(address))
        await looking.look()
    assert looking.asked == [("patch", "EncoderPool")]
    assert "needed_replicas" in looking.series()


@pytest.mark.parametrize(("phase", "expected"), [("Running", "f00d"), ("Failed", None), ("Succeeded", None)])
async def test_a_pod_that_is_over_is_not_asked(looking: Looking, phase: str, expected: str | None) -> None:
    """Its address may be another pod's by now."""
    looking.mirror.put_pool(a_pool())
    async with serving(pod=True) as address:
        looking.mirror.put_pod(a_pod(address, phase=phase))
        await looking.look()
    assert looking.scaler.fingerprint(KEY) == expected
    assert looking.scaler.costs(KEY) == ({"vision-any-1": 0} if expected else {})


async def test_another_pool_of_a_name_begins_anew(looking: Looking) -> None:
    looking.mirror.put_pool(a_pool())
    async with serving(pod=True) as address:
        looking.mirror.put_pod(a_pod(address))
        await looking.look()
    assert looking.scaler.fingerprint(KEY) == "f00d"
    looking.mirror.remove_pod("team", "vision-any-1")
    looking.mirror.put_pool(a_pool(uid="another"))
    await looking.look()
    assert looking.scaler.fingerprint(KEY) is None


LOAD = {
    "needed_replicas",
    "demand_patches_per_second",
    "served_patches_per_second",
    "capacity_patches_per_second",
    "pending_patches",
    "min_replicas",
    "max_replicas",
}


@pytest.mark.parametrize(
    ("spec", "left"),
    [
        ({"paused": True}, LOAD - {"needed_replicas"}),
        ({"replicas": 0}, LOAD - {"needed_replicas"}),
        ({"autoscaling": {"mode": "Off"}}, set()),
        ({"runtime": "SGLang"}, LOAD),
        ({"a field of": "another version"}, set()),
    ],
)
async def test_nobody_follows_what_was_said_before(looking: Looking, spec: dict[str, Any], left: set[str]) -> None:
    looking.mirror.put_pool(a_pool())
    await looking.look()
    assert looking.series() == LOAD
    looking.mirror.put_pool(a_pool(2, **spec))
    await looking.look()
    assert looking.series() == left


async def test_a_pool_that_is_gone_is_forgotten(looking: Looking) -> None:
    looking.mirror.put_pool(a_pool())
    await looking.look()
    looking.mirror.remove_pool(*KEY, a_pool()["metadata"]["uid"])
    await looking.look()
    assert looking.series() == set()
    assert looking.scaler.decision(KEY) is None
