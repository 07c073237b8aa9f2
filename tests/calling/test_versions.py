"""Encoders are upgraded before their clients: what is new in their messages is ignored, what is new in ours refused."""

from typing import Any

import msgspec
import numpy as np
import pytest

from fleet_client import Client, image, protocol
from fleet_client.protocol import Cancel, Encode, Hello, Item, Load, Meta, Result, Sampling, Status, Tensor
from scripted import Message, ScriptedEncoder, ok, welcome

QUESTIONS = [
    Hello(client="c"),
    Encode(id="1", items=[Item(modality="video", frame=0, sampling=Sampling(fps=1.0))]),
    Cancel(id="1"),
]
ANSWERS = [
    welcome(),
    Result(
        id="1",
        index=0,
        status=Status.OK,
        tensor=Tensor(frame=0, dtype="float32", shape=[1, 4]),
        meta=Meta(tokens=1, patches=4),
    ),
    Load(pending_patches=3),
]


def with_news(content: Any, place: tuple[str | int, ...]) -> bytes:
    """A message with one more field, at `place`."""
    found = content = msgspec.msgpack.decode(protocol.pack(content))
    for step in place:
        found = found[step]
    found["news"] = [1, {"a": None}]
    return msgspec.msgpack.encode(content)


@pytest.mark.parametrize(
    ("question", "place"),
    [
        *((each, ()) for each in QUESTIONS),
        (QUESTIONS[1], ("items", 0)),
        (QUESTIONS[1], ("items", 0, "sampling")),
    ],
)
def test_what_a_client_says_is_taken_at_its_word(question: Any, place: tuple[str | int, ...]) -> None:
    assert protocol.unpack_from_client(protocol.pack(question)) == question
    with pytest.raises(ValueError, match="unknown field `news`"):
        protocol.unpack_from_client(with_news(question, place))


@pytest.mark.parametrize(
    ("answer", "place"), [*((each, ()) for each in ANSWERS), (ANSWERS[1], ("tensor",)), (ANSWERS[1], ("meta",))]
)
def test_what_a_newer_encoder_adds_is_ignored(answer: Any, place: tuple[str | int, ...]) -> None:
    assert protocol.unpack_from_server(with_news(answer, place)) == answer


def test_a_newer_encoder_serves() -> None:
    def script(request: Encode, frames: list[bytes]) -> list[Message]:
        header, rows = ok(request.id, np.ones((1, 4), np.float32))
        content = msgspec.msgpack.decode(header)
        content["news"] = content["meta"]["news"] = content["tensor"]["news"] = 1
        return [[with_news(Load(pending_patches=1), ())], [msgspec.msgpack.encode(content), rows]]

    with ScriptedEncoder(script, greeting=with_news(welcome(), ())) as encoder, Client(encoder.endpoint) as client:
        assert client.hello() == {encoder.endpoint: welcome()}
        (encoding,) = client.encode([image(b"i")])
    assert encoding.embedding.tolist() == [[1.0] * 4]
