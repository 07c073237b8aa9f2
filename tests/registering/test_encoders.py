"""Encoders are asked what they are, over real sockets at addresses of their own."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from fleet_operator.consumers import asking, encoders
from fleet_operator.consumers.asking import Asker
from fleet_operator.consumers.encoders import Encoders
from fleet_operator.consumers.wishes import Identity
from fleet_operator.observed.mirror import Key
from fleet_operator.observed.pods import PodState
from fleet_operator.specs.names import HTTP_PORT, SGLANG_PORT
from reconciling.snapshots import a_cluster_pool, a_pod
from registering.language_server import MODEL, LanguageServer

KEY = Key("team", "vision")
POOL = a_cluster_pool()


class Asked:
    """Encoders, and how often something new was known."""

    def __init__(self, asker: Asker) -> None:
        self.changes = 0
        self.encoders = Encoders(asker, self._changed)

    def _changed(self, _: Key) -> None:
        self.changes += 1

    async def identity(self, pod: PodState, pool: object = POOL) -> Identity:
        """Of a pod, once it has been asked."""
        before = self.changes
        self.encoders.look(KEY, pool, [pod])  # type: ignore[arg-type]
        while pod.name not in self.encoders.identities(KEY) or self.changes == before:
            if pool is not POOL:
                break
            await asyncio.sleep(0.01)
        return self.encoders.identities(KEY)[pod.name]


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    monkeypatch.setattr(encoders, "TRY_SECONDS", 0.01)
    monkeypatch.setattr(asking, "SECONDS", 0.5)
    async with Asker() as asker:
        found = Asked(asker)
        yield found
        await found.encoders.close()


def pod(name: str = "one") -> PodState:
    address = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
    return a_pod(name, ip=address, speaks_sglang=True)


async def test_one_that_says_what_it_is_is_asked_once(asked: Asked) -> None:
    one = pod()
    async with LanguageServer().running(one.ip, SGLANG_PORT):
        found = await asked.identity(one)
    assert (found.told, found.deaf, found.facts.model_type) == (True, False, "qwen2_5_vl")
    asked.encoders.look(KEY, POOL, [one])
    await asyncio.sleep(0.05)
    assert asked.changes == 1


async def test_one_that_listens_nowhere_is_deaf_until_it_does(asked: Asked) -> None:
    one = pod()
    assert (await asked.identity(one)).deaf
    await asyncio.sleep(0.02)
    async with LanguageServer().running(one.ip, SGLANG_PORT):
        assert not (await asked.identity(one)).deaf


@pytest.mark.parametrize(("manner", "model"), [("well", None), ("deep", MODEL)])
async def test_one_that_says_nothing_is_no_reason_by_itself(asked: Asked, manner: str, model: Any) -> None:
    one, server = pod(), LanguageServer()
    server.manner, server.model = manner, model
    async with server.running(one.ip, SGLANG_PORT):
        found = await asked.identity(one)
    assert (found.told, found.deaf) == (False, False)


async def test_where_a_policy_keeps_us_out_the_port_of_metrics_is_asked(asked: Asked) -> None:
    one, silent = pod(), LanguageServer()
    silent.model = None
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(silent.running(one.ip, SGLANG_PORT))
        await stack.enter_async_context(LanguageServer().running(one.ip, HTTP_PORT))
        found = await asked.identity(one)
    assert (found.told, found.facts.model_type) == (True, "qwen2_5_vl")


async def test_sglangs_own_is_known_by_its_pool(asked: Asked) -> None:
    pool = a_cluster_pool(runtime="SGLang", model={"name": "Qwen/A"})
    found = await asked.identity(pod(), pool)
    assert (found.told, found.deaf, found.facts.model) == (True, False, "Qwen/A")


async def test_those_that_are_no_more_are_forgotten(asked: Asked) -> None:
    pool = a_cluster_pool(runtime="SGLang")
    one, two = pod("one"), pod("two")
    asked.encoders.look(KEY, pool, [one, two])
    assert asked.encoders.identities(KEY).keys() == {"one", "two"}
    asked.encoders.look(KEY, pool, [two])
    assert asked.encoders.identities(KEY).keys() == {"two"}
    asked.encoders.keep([])
    assert asked.encoders.identities(KEY) == {}


async def test_what_is_known_is_put_together_once_until_it_changes(asked: Asked) -> None:
    pool = a_cluster_pool(runtime="SGLang")
    one = pod("one")
    asked.encoders.look(KEY, pool, [one])
    known = asked.encoders.identities(KEY)
    asked.encoders.look(KEY, pool, [one])
    assert asked.encoders.identities(KEY) is known
    asked.encoders.look(KEY, pool, [one, pod("two")])
    assert asked.encoders.identities(KEY).keys() == {"one", "two"}
