"""Bodies, good and bad: what is asked for, or which field is wrong and what to send instead."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_encoder.errors import Invalid
from fleet_encoder.job import Source
from fleet_encoder.wire.sglang import request as requests
from fleet_encoder.wire.sglang.media_items import Item, source
from fleet_encoder.wire.sglang.request import decode, encode_request, receiver

GOOD: dict[str, Any] = {
    "mm_items": ["https://example.com/a.png"],
    "req_id": "r_local_part_0",
    "num_parts": 2,
    "part_idx": 1,
    "modality": "IMAGE",
    "prefill_host": "10.0.0.1",
    "embedding_port": 5000,
}
HASH = "0123456789abcdefABCDEF".ljust(64, "0")


def test_what_sglangs_client_sends() -> None:
    asked = encode_request({**GOOD, "encoder_idx": 0, "encoder_url": "http://e", "time_stats_json": None, "hashes": []})
    part = asked.part
    assert (part.req_id, part.num_parts, part.part_idx, part.modality) == ("r_local_part_0", 2, 1, "image")
    assert asked.items == (Item(Source(url="https://example.com/a.png")),)
    assert asked.endpoints == ("tcp://10.0.0.1:5000",)


@pytest.mark.parametrize(
    ("host", "ports", "endpoints"),
    [
        ("10.0.0.1", None, ()),
        (None, None, ()),
        ("10.0.0.1", 1, ("tcp://10.0.0.1:1",)),
        ("10.0.0.1", [65535], ("tcp://10.0.0.1:65535",)),
        ("10.0.0.1", [5, 6, 5], ("tcp://10.0.0.1:5", "tcp://10.0.0.1:6")),
        ("10.0.0.1", [], ()),
        ("::1", 5000, ("tcp://[::1]:5000",)),
        ("[fd00:0:0::0001]", 5000, ("tcp://[fd00::1]:5000",)),
        ("Server.Example.", 5000, ("tcp://server.example:5000",)),
        ("127.1", 5000, None),
        ("", 5000, None),
        ("a b", 5000, None),
        ("fe80::1%eth0", 5000, None),
        ("10.0.0.1;10.0.0.2", 5000, None),
        ("10.0.0.1:80/x", 5000, None),
        ("*", 5000, None),
        ("a" * 300, 5000, None),
        (None, 5000, None),
        (7, 5000, None),
        ("10.0.0.1", 0, None),
        ("10.0.0.1", -1, None),
        ("10.0.0.1", 65536, None),
        ("10.0.0.1", 10**30, None),
        ("10.0.0.1", True, None),
        ("10.0.0.1", 5000.0, None),
        ("10.0.0.1", "5000", None),
        ("10.0.0.1", [5000, "5001"], None),
        ("10.0.0.1", {"port": 5000}, None),
        ("10.0.0.1", list(range(1, 2000)), None),
    ],
)
def test_where_it_is_wanted(host: Any, ports: Any, endpoints: tuple[str, ...] | None) -> None:
    body = {**GOOD, "prefill_host": host, "embedding_port": ports}
    if endpoints is not None:
        assert encode_request(body).endpoints == endpoints
        return
    with pytest.raises(Invalid, match="give"):
        encode_request(body)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("req_id", None, "req_id is None: give a string"),
        ("req_id", "", "1 to 1024"),
        ("req_id", "x" * 1025, "1 to 1024"),
        ("req_id", 7, "req_id is 7"),
        ("req_id", {"a": 1}, "req_id is an object"),
        ("req_id", "\x1b[2J", "printable"),
        ("req_id", "a\nb", "printable"),
        ("modality", None, "modality None: give IMAGE, VIDEO or AUDIO"),
        ("modality", "SMELL", "'SMELL'"),
        ("modality", ["IMAGE"], "a list"),
        ("num_parts", 0, "num_parts is 0: give 1 to"),
        ("num_parts", 10**30, "num_parts is 1000"),
        ("num_parts", True, "num_parts is True"),
        ("num_parts", 1.0, "num_parts is 1.0"),
        ("num_parts", None, "num_parts is None"),
        ("part_idx", 2, "part_idx is 2: give 0 to 1"),
        ("part_idx", -1, "part_idx is -1"),
        ("part_idx", "0", "part_idx is '0'"),
        ("mm_items", [], "0 items: send 1 to"),
        ("mm_items", [[]], "0 items"),
        ("mm_items", ["x"] * 1025, "1025 items"),
        ("mm_items", None, "is null: give a string, or an object"),
        ("mm_items", [None], "is null"),
        ("mm_items", [5], "is a number"),
        ("mm_items", [{}], "without `url`"),
        ("mm_items", [{"url": 5}], "`url`, a string"),
        ("mm_items", [[["x"]]], "is a list"),
        ("mm_items", [""], "is empty: give an URL"),
        ("mm_items", [{"url": ""}], "is empty"),
        ("mm_items", [{"url": "x", "content_hash": "md5:5"}], "give sha256: and 64 hex"),
        ("mm_items", [{"url": "x", "content_hash": 5}], "content_hash is 5"),
        ("mm_items", [{"url": "x", "content_hash": "sha256:" + HASH + "0"}], "64 hex"),
    ],
)
def test_what_is_wrong_is_said(field: str, value: Any, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        encode_request({**GOOD, field: value})
    assert text in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_message_never_holds_media() -> None:
    secret = "c2VjcmV0" * 100_000
    for items in [{"data": secret}], [{"url": [secret]}], [[[secret]]]:
        with pytest.raises(Invalid) as caught:
            encode_request({**GOOD, "mm_items": items})
        assert "c2VjcmV0" not in str(caught.value)
    assert requests.shown_id({"req_id": secret}) == ""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com/a.png?x=1", "https://example.com/a.png?x=1"),
        ("http://example.com/a", "http://example.com/a"),
        ("file:///data/a.png", "file:///data/a.png"),
        ("data:image/png;base64,aGk=", "data:image/png;base64,aGk="),
        ("/data/a b#1?.png", "file:///data/a%20b%231%3F.png"),
        ("/data/100%.png", "file:///data/100%25.png"),
        ("/data/pictures/" + "x" * 600 + "/a.png", "file:///data/pictures/" + "x" * 600 + "/a.png"),
        ("aGVsbG8=", "data:;base64,aGVsbG8="),
        ("/9j/" + "4AAQ" * 300, "data:;base64,/9j/" + "4AAQ" * 300),
    ],
)
def test_where_media_are(text: str, url: str) -> None:
    assert source(text).url == url
    assert encode_request({**GOOD, "mm_items": [{"url": text, "detail": "high"}]}).items[0].source.url == url


def test_media_in_the_request_tell_their_size() -> None:
    assert source("aGVsbG8h").size == 6
    assert source("data:;base64,aGVsbG8h").size is not None
    assert source("https://example.com/a.png").size is None
    assert source("/data/a.png").size is None


def test_a_hash() -> None:
    for text in (HASH, "sha256:" + HASH):
        (item,) = encode_request({**GOOD, "mm_items": [{"url": "x", "content_hash": text}]}).items
        assert item.sha256 == HASH.lower()


@pytest.mark.parametrize(
    ("where", "endpoint"),
    [
        ("10.0.0.1:5000", "tcp://10.0.0.1:5000"),
        ("[::1]:5000", "tcp://[::1]:5000"),
        ("::1:5000", "tcp://[::1]:5000"),
        ("server.example:5000", "tcp://server.example:5000"),
    ],
)
def test_a_receiver(where: str, endpoint: str) -> None:
    found = receiver({"req_id": "r", "receive_count": 2, "receive_url": where, "modality": "IMAGE"})
    assert (found.req_id, found.count, found.endpoint) == ("r", 2, endpoint)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("req_id", "", "req_id is"),
        ("receive_count", 0, "receive_count is 0: give 1 to"),
        ("receive_count", 10**9, "give 1 to"),
        ("receive_count", "2", "receive_count is '2'"),
        ("receive_url", None, "receive_url is None: give host:port"),
        ("receive_url", "10.0.0.1", "give host:port"),
        ("receive_url", "10.0.0.1:", "give host:port"),
        ("receive_url", ":5000", "no address of a language server"),
        ("receive_url", "10.0.0.1:0", "no address"),
        ("receive_url", "10.0.0.1:99999", "no address"),
        ("receive_url", "10.0.0.1:" + "9" * 5000, "give host:port"),
        ("receive_url", "10.0.0.1:٣", "give host:port"),
        ("receive_url", "tcp://10.0.0.1:5000", "no address"),
        ("receive_url", "ipc:///tmp/x:5", "no address"),
    ],
)
def test_a_receiver_that_cannot_be(field: str, value: Any, text: str) -> None:
    body = {"req_id": "r", "receive_count": 1, "receive_url": "10.0.0.1:5000", field: value}
    with pytest.raises(Invalid) as caught:
        receiver(body)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": \xff}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", "not JSON"),
    ],
)
def test_a_body_that_is_no_request(body: bytes, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode(bytearray(body))
    assert text in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=9),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "receive_url", "receive_count"]), JSON))
def test_any_body_is_taken_or_refused(body: dict[str, Any]) -> None:
    for read in (encode_request, receiver):
        for each in ({**GOOD, **body}, body):
            with contextlib.suppress(Invalid):
                read(decode(json.dumps(each).encode()))
