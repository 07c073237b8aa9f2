"""Which encoders of a pool a language server shall have."""

from typing import Any

import pytest

from fleet_operator.consumers.compatibility import Facts
from fleet_operator.consumers.wishes import Identity, Wishes, serving, wishes
from fleet_operator.observed.pods import PodState, read_pod
from reconciling.snapshots import a_cluster_pool, a_pod, a_pod_object

POOL = a_cluster_pool()
GOOD, OTHER = Facts(model_type="qwen2_5_vl"), Facts(model_type="qwen2_vl")
ONE, TWO = "http://10.0.0.1:30000", "http://10.0.0.2:30000"


def pod(name: str = "one", **fields: Any) -> PodState:
    usual = {"ip": "10.0.0.1" if name == "one" else "10.0.0.2", "speaks_sglang": True}
    return a_pod(name, **{**usual, **fields})


def found(*pods: PodState, server: Facts = GOOD, unsure: str = "", **known: Identity) -> Wishes:
    identities = {"one": Identity(GOOD), "two": Identity(GOOD), **known}
    return wishes(POOL, pods, identities, server, unsure)


@pytest.mark.parametrize(
    ("given", "wanted", "unwanted"),
    [
        ([pod()], {ONE}, set()),
        ([pod(), pod("two")], {ONE, TWO}, set()),
        ([pod(ready=False)], set(), {ONE}),
        # Its end was announced: before it gets a signal.
        ([pod(leaving=True)], set(), {ONE}),
        ([pod(ip="")], set(), set()),
        # It has ended; its address may be that of another by now.
        ([pod(over=True, ready=False)], set(), set()),
        ([pod(leaving=True), pod("two", ip="10.0.0.1")], {ONE}, set()),
        # It was made before encoders spoke SGLang's wire.
        ([pod(speaks_sglang=False)], set(), set()),
        # It has not been asked yet.
        ([pod("three")], set(), set()),
    ],
)
def test_encoders_that_serve_are_wanted(given: list[PodState], wanted: set[str], unwanted: set[str]) -> None:
    wish = found(*given)
    assert (wish.wanted, wish.unwanted) == (wanted, unwanted)


def test_one_that_the_server_cannot_use_is_not() -> None:
    wish = found(pod(), pod("two"), two=Identity(OTHER))
    assert (wish.wanted, wish.unwanted) == ({ONE}, {TWO})
    assert "model_type of the encoders is qwen2_vl" in wish.mismatch


def test_one_that_listens_nowhere_is_not() -> None:
    wish = found(pod(), one=Identity(Facts(), told=False, deaf=True))
    assert (wish.wanted, wish.unwanted, wish.mismatch) == (set(), {ONE}, "")


def test_what_is_not_known_is_a_doubt() -> None:
    assert found(pod()).doubt == ""
    assert found(pod(), server=Facts(), unsure="its API refuses").doubt == "its API refuses"
    assert "do not tell their model" in found(pod(), one=Identity(Facts(), told=False)).doubt
    named = Facts(model_type="qwen2_5_vl", model="Qwen/A")
    assert "Qwen/B" in found(pod(), server=Facts(model="Qwen/B"), one=Identity(named)).doubt


@pytest.mark.parametrize(
    ("ports", "speaks"), [([], False), ([5570, 8080], False), ([5570, 30000], True), ([30000], True)]
)
def test_a_pod_says_whether_it_has_the_port(ports: list[int], speaks: bool) -> None:
    body = a_pod_object(conditions=[{"type": "Ready", "status": "True"}])
    body["spec"]["containers"] = [{"name": "main", "ports": [{"containerPort": port} for port in ports]}]
    state = read_pod(body)
    assert state.speaks_sglang == speaks
    assert serving([state]) == ([state] if speaks else [])
