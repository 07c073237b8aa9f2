"""What is written is what Python's own unpickler reads, and never names anything that SGLang does not let in."""

import math
import pickle
import pickletools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fleet_client.protocol import Meta, Modality
from fleet_encoder.wire.sglang import frames
from fleet_encoder.wire.sglang.pickled import Call, Global, Instance, dumps
from fleet_encoder.wire.sglang.request import Part
from speaking_sglang import language_server
from speaking_sglang.language_server import ALLOWED, StrictUnpickler, part

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 2000), 1 << 2000)
    | st.floats(allow_nan=False)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(), inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=30,
)


@given(PLAIN)
def test_plain_values_come_back(value: Any) -> None:
    found = pickle.loads(dumps(value))
    assert found == value
    assert repr(found) == repr(value)  # 1 is not True, and 0.0 not -0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.0, 1 << 31, -(1 << 31), (1 << 31) - 1, 255, -1, "\ud800"])
def test_edges(value: Any) -> None:
    assert repr(pickle.loads(dumps(value))) == repr(value)


@given(PLAIN)
def test_it_is_a_pickle_to_its_last_byte(value: Any) -> None:
    written = dumps(value)
    assert [opcode.name for opcode, _, _ in pickletools.genops(written)][-1] == "STOP"
    pickletools.optimize(written)


@given(st.sampled_from(sorted(ALLOWED)))
def test_names_are_imported(name: tuple[str, str]) -> None:
    assert StrictUnpickler(dumps(Global(*name))).load() is ALLOWED[name]


@given(st.lists(st.integers(-(1 << 62), 1 << 62), min_size=1, max_size=9))
def test_calls_are_called(numbers: list[int]) -> None:
    found = StrictUnpickler(dumps(Call(Global("torch", "LongTensor"), (numbers,)))).load()
    assert torch.equal(found, torch.tensor(numbers))


@given(st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True), PLAIN, max_size=6))
def test_instances_have_their_attributes(attributes: dict[str, Any]) -> None:
    kind = Global("sglang.srt.disaggregation.encoder.receiver", "EmbeddingData")
    found = StrictUnpickler(dumps(Instance(kind, attributes))).load()
    assert type(found) is language_server.EmbeddingData
    assert vars(found) == attributes


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, (1, 2, 3, 4), object(), torch.zeros(1), [object()]])
def test_what_cannot_be_written_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot write a"):
        dumps(value)


PARTS = st.builds(
    Part,
    req_id=st.text(min_size=1, max_size=50),
    num_parts=st.integers(1, 4096),
    part_idx=st.integers(0, 4095),
    modality=st.sampled_from(["image", "video", "audio"]),
)
METAS = st.lists(
    st.builds(
        Meta,
        patches=st.integers(1, 1 << 20),
        grid=st.tuples(*[st.integers(1, 1 << 15)] * 3),
        audio_frames=st.integers(1, 1 << 20),
    ),
    min_size=1,
    max_size=4,
)


def names(pickled: bytes) -> set[tuple[str, str]]:
    return {
        tuple(argument.split(" ")) for opcode, argument, _ in pickletools.genops(pickled) if opcode.name == "GLOBAL"
    }


@given(PARTS, METAS, st.sampled_from(["bfloat16", "float16", "float32"]), st.sampled_from([None, 0.5, 1.0]))
def test_an_embeddings_description(described: Part, metas: list[Meta], dtype: str, seconds: float | None) -> None:
    frame = frames.embedding(described, 2, 3, dtype, metas, seconds)
    assert names(frame) <= ALLOWED.keys()
    payload = torch.arange(6).to(getattr(torch, dtype)).view(torch.uint8).numpy().tobytes()
    about = part([frame, payload]).about
    assert (about.req_id, about.num_parts, about.part_idx) == (
        described.req_id,
        described.num_parts,
        described.part_idx,
    )
    assert about.modality.name.lower() == described.modality
    assert (about.shape, about.dtype) == ([2, 3], getattr(torch, dtype))
    wanted = [meta.audio_frames if described.modality == "audio" else list(meta.grid or ()) for meta in metas]
    assert about.grid_dim.tolist() == wanted
    if described.modality == "video" and seconds is not None:
        assert about.second_per_grid_ts.tolist() == [seconds] * len(metas)
    else:
        assert not hasattr(about, "second_per_grid_ts")


@given(PARTS, st.text(), st.integers(400, 599))
def test_a_failures_description(described: Part, message: str, code: int) -> None:
    frame = frames.failure(described, message, code)
    assert names(frame) <= ALLOWED.keys()
    about = part([frame]).about
    assert (about.error_msg, about.error_code, about.shape, about.dtype) == (message, code, None, None)


def test_the_names_here_are_those_of_all_modalities() -> None:
    modalities: tuple[Modality, ...] = ("image", "video", "audio")
    assert {each.name.lower(): each.value for each in language_server.Modality} == {
        name: number for number, name in enumerate(modalities, start=1)
    }
