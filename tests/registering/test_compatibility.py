"""Whether a language server can use an encoder, as a table."""

from typing import Any

import pytest

from fleet_operator.consumers.compatibility import Facts, doubt, encoder_facts, mismatch, server_facts
from fleet_operator.consumers.told import NOTHING, Told
from planning.pools import a_pool

VL25 = {"model_type": "qwen2_5_vl", "architectures": ("Qwen2_5_VLForConditionalGeneration",)}
VL2 = {"model_type": "qwen2_vl", "architectures": ("Qwen2VLForConditionalGeneration",)}


def facts(**told: Any) -> Facts:
    return Facts(**told)


@pytest.mark.parametrize(
    ("encoder", "server", "said"),
    [
        (facts(), facts(), []),
        (facts(**VL25), facts(), []),
        (facts(), facts(**VL25), []),
        (facts(**VL25), facts(**VL25), []),
        (
            facts(**VL25),
            facts(**VL2),
            ["model_type of the encoders is qwen2_5_vl, its own is qwen2_vl", "--model-path"],
        ),
        (facts(architectures=("A", "B")), facts(architectures=("B",)), []),
        (facts(architectures=("A",)), facts(architectures=("B",)), ["architectures of the encoders is A", "own is B"]),
        # The number format.
        (facts(dtype="bfloat16"), facts(dtype="bfloat16"), []),
        (facts(dtype="bfloat16"), facts(), []),
        (facts(dtype="bfloat16"), facts(dtype="float16"), ["dtype of the encoders is bfloat16", "spec.model.dtype"]),
        # The revision: a commit may be shortened.
        (facts(revision="main"), facts(), []),
        (facts(revision="main"), facts(revision="v2"), ["revision of the encoders is main, its own is v2"]),
        (facts(revision="66285546d2b8"), facts(revision="66285546d2b821cf"), []),
        (facts(revision="v1"), facts(revision="v10"), ["revision"]),
        # How embeddings are sent: a Native encoder does what it is asked for, but not by RDMA.
        (facts(), facts(backend="zmq_to_scheduler"), []),
        (facts(), facts(backend="zmq_to_tokenizer"), []),
        (facts(), facts(backend="mooncake"), ["by mooncake", "zmq_to_tokenizer", "runtime: SGLang"]),
        (facts(backend="mooncake"), facts(backend="mooncake"), []),
        (facts(backend="zmq_to_scheduler"), facts(), []),
        (
            facts(backend="zmq_to_scheduler"),
            facts(backend="zmq_to_tokenizer"),
            ["is zmq_to_scheduler, its own is zmq_to_tokenizer", "spec.sglang.transferBackend"],
        ),
        # Another size of one architecture: as the names have it.
        (
            facts(model="Qwen/Qwen2.5-VL-3B-Instruct", revision="66285546d2b8"),
            facts(model="/models/qwen2.5-vl-7b", revision="cc594898137f"),
            [
                "model of the encoders is Qwen/Qwen2.5-VL-3B-Instruct, its own is /models/qwen2.5-vl-7b: another size",
                "spec.model",
            ],
        ),
        (facts(model="Qwen/Qwen2.5-VL-7B-Instruct"), facts(model="Qwen/Qwen2.5-VL-7B-Instruct-AWQ"), []),
        # Names of models differ where one is a copy of the other: no reason by itself.
        (facts(model="/models/a"), facts(model="Qwen/B"), []),
    ],
)
def test_what_does_not_fit_is_told_with_both_sides(encoder: Facts, server: Facts, said: list[str]) -> None:
    text = mismatch(encoder, server)
    assert bool(text) == bool(said)
    for words in said:
        assert words in text


@pytest.mark.parametrize(
    ("encoders", "its", "told"),
    [
        ("Qwen/A-3B", "Qwen/A-7B", True),
        ("Qwen/A-3B", "qwen/a-3b", False),
        ("/models/A", "Qwen/A", False),
        ("Qwen/A", "/models/a/b", False),
        ("", "Qwen/A", False),
    ],
)
def test_other_names_are_a_doubt(encoders: str, its: str, told: bool) -> None:
    text = doubt(facts(model=encoders), facts(model=its))
    assert (encoders in text and its in text) if told else not text


@pytest.mark.parametrize(
    ("encoder", "backend", "told"),
    [
        (facts(), "zmq_to_scheduler", True),
        (facts(), "zmq_to_tokenizer", False),
        (facts(), "", False),
        (facts(backend="zmq_to_scheduler"), "zmq_to_scheduler", False),  # SGLang's encoders: the pool says how
        (facts(model="Qwen/A"), "zmq_to_scheduler", True),
    ],
)
def test_a_way_of_embeddings_that_may_end_a_language_server_is_told(encoder: Facts, backend: str, told: bool) -> None:
    text = doubt(encoder, facts(backend=backend))
    assert ("start it with --encoder-transfer-backend zmq_to_tokenizer" in text) == bool(text) == told


def test_all_doubts_are_told() -> None:
    text = doubt(facts(model="Qwen/A"), facts(model="Qwen/B", backend="zmq_to_scheduler"))
    assert "Qwen/B" in text
    assert "zmq_to_tokenizer" in text


def test_an_encoder_is_known_by_what_it_says_then_by_its_pool() -> None:
    pool = a_pool(model={"name": "Qwen/A", "revision": "main", "dtype": "bfloat16"})
    told = Told(model_type="qwen2_vl", architectures=["A"], dtype="torch.float32", revision="c0ffee")
    assert encoder_facts(pool, NOTHING) == facts(model="Qwen/A", revision="main", dtype="bfloat16")
    assert encoder_facts(pool, told) == Facts("qwen2_vl", ("A",), "float32", "c0ffee", "Qwen/A")


@pytest.mark.parametrize(
    ("sglang", "backend"), [({}, "zmq_to_scheduler"), ({"transferBackend": "mooncake"}, "mooncake")]
)
def test_sglangs_encoder_sends_in_one_way(sglang: dict[str, str], backend: str) -> None:
    assert encoder_facts(a_pool(runtime="SGLang", sglang=sglang), NOTHING).backend == backend


def test_a_language_server_is_known_by_what_it_says() -> None:
    model = Told(model_path="Qwen/A", model_type="qwen2_vl", architectures=["A"])
    server = Told(dtype="half", revision=None, encoder_transfer_backend="zmq_to_tokenizer")
    assert server_facts(model, server) == Facts("qwen2_vl", ("A",), "float16", "", "Qwen/A", "zmq_to_tokenizer")
    assert server_facts(NOTHING, Told(dtype="auto", encoder_transfer_backend="auto")) == Facts()


@pytest.mark.parametrize(
    "nonsense",
    [1, None, {"a": 1}, ["x", 1, None], "x" * 10_000, "\ud800", "x\n2026-01-01 ERROR forged", "\x1b[31mx\u2028"],
)
def test_whatever_answers_is_no_error_and_can_be_told(nonsense: Any) -> None:
    names = ("model_type", "architectures", "dtype", "revision", "model_path", "encoder_transfer_backend")
    for each in (nonsense, [nonsense]):
        told = Told(**dict.fromkeys(names, each))
        for found in (server_facts(told, told), encoder_facts(a_pool(), told)):
            # Neither a lone surrogate, which no API server takes, nor the end of a line, nor colours.
            for text in (
                mismatch(found, facts(**VL2)),
                mismatch(found, facts(model="m-7b")),
                doubt(found, facts(model="Qwen/A")),
            ):
                assert len(text) < 1000
                assert text.isprintable()
