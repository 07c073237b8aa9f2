"""What a language server asks for, judged. Pure.

The fields are those that SGLang 0.5.23's client sends; whatever else is in a body is ignored, as its server does.
"""

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec

from fleet_client.protocol import MAX_ITEMS, Modality
from fleet_encoder.errors import Invalid
from fleet_encoder.job import Source
from fleet_encoder.sources import urls

MAX_PARTS = 4096
MAX_RECEIVERS = 1024
"""Ranks of one language server."""

MAX_ID = 1024
SHOWN = 60
"""Characters of a value that a message shows."""

_MODALITIES: dict[str, Modality] = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio"}
_PORT = re.compile("[0-9]{1,5}")
_HASH = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a request: what one encoder was given of one modality.

    Attributes:
        req_id: As it came: the request's id and a suffix for the part.
        num_parts: Of the whole request, over all modalities and encoders.
        part_idx: From 0.
        modality: Of all its items.
    """

    req_id: str
    num_parts: int
    part_idx: int
    modality: Modality


@dataclass(frozen=True, slots=True)
class Item:
    """One of the part's media.

    Attributes:
        source: Where they are.
        sha256: Of the file, in hexadecimal, where the caller knows it.
    """

    source: Source
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """A body of `/encode`.

    Attributes:
        part: Which part of which request.
        items: At least one.
        endpoints: ZMQ addresses to deliver to; empty where `/scheduler_receive_url` will tell them.
    """

    part: Part
    items: tuple[Item, ...]
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receiver:
    """A body of `/scheduler_receive_url`: one of `count` places that want the part."""

    req_id: str
    count: int
    endpoint: str


def decode(body: bytes | bytearray) -> dict[str, Any]:
    """A body as JSON.

    Raises:
        Invalid: It is not a JSON object.
    """
    try:
        found = msgspec.json.decode(body)
    except RecursionError:
        raise Invalid("the body is nested too deep: send what SGLang's client sends") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Invalid("the body is not a JSON object")
    return found


def encode_request(body: dict[str, Any]) -> EncodeRequest:
    """A body of `/encode`.

    Raises:
        Invalid: Says which field is wrong.
    """
    req_id = _req_id(body)
    name = body.get("modality")
    modality = _MODALITIES.get(name.upper()) if isinstance(name, str) else None
    if modality is None:
        raise Invalid(f"modality {_shown(body.get('modality'))}: give IMAGE, VIDEO or AUDIO")
    num_parts, part_idx = body.get("num_parts"), body.get("part_idx")
    if not _is_int(num_parts) or not 0 < num_parts <= MAX_PARTS:
        raise Invalid(f"num_parts is {_shown(num_parts)}: give 1 to {MAX_PARTS}")
    if not _is_int(part_idx) or not 0 <= part_idx < num_parts:
        raise Invalid(f"part_idx is {_shown(part_idx)}: give 0 to {num_parts - 1}, as num_parts is {num_parts}")
    listed = body.get("mm_items")
    flat = _flat(listed if isinstance(listed, list) else [listed])
    if not 0 < len(flat) <= MAX_ITEMS:
        raise Invalid(f"mm_items has {len(flat)} items: send 1 to {MAX_ITEMS}")
    items = tuple(_item(each) for each in flat)
    return EncodeRequest(Part(req_id, num_parts, part_idx, modality), items, _endpoints(body))


def receiver(body: dict[str, Any]) -> Receiver:
    """A body of `/scheduler_receive_url`.

    Raises:
        Invalid: Says which field is wrong.
    """
    count, where = body.get("receive_count"), body.get("receive_url")
    if not _is_int(count) or not 0 < count <= MAX_RECEIVERS:
        raise Invalid(f"receive_count is {_shown(count)}: give 1 to {MAX_RECEIVERS}")
    host, _, port = where.rpartition(":") if isinstance(where, str) else ("", "", "")
    if not _PORT.fullmatch(port):
        raise Invalid(f"receive_url is {_shown(where)}: give host:port")
    return Receiver(_req_id(body), count, endpoint(host, int(port)))


def endpoint(host: str, port: int) -> str:
    """A ZMQ address.

    Raises:
        Invalid: It cannot be one.
    """
    name = urls.host_name(host.strip("[]"))
    if not name or not 0 < port < 65536:
        raise Invalid(f"{_shown(f'{host}:{port}')} is no address of a language server: give its host and port")
    return f"tcp://[{name}]:{port}" if ":" in name else f"tcp://{name}:{port}"


def source(text: str) -> Source:
    """Where an item's media are: an http, https, file or data URL, a path, or bare base64.

    Raises:
        Invalid: It is empty.
    """
    if not text:
        raise Invalid("an item of mm_items is empty: give an URL, or base64")
    if text.startswith("data:"):
        return Source(url=text, size=len(text) * 3 // 4)
    if text.startswith(("http://", "https://", "file:")):
        return Source(url=text)
    if text.startswith("/") and _is_path(text):
        return Source(url="file://" + _quoted(text))
    return Source(url="data:;base64," + text, size=len(text) * 3 // 4)


def _is_path(text: str) -> bool:
    """Base64 may start with a slash, too: of a JPEG it does. A path is short, and has a dot or is no base64."""
    return len(text) < 4096 and not (len(text) % 4 == 0 and len(text) > 256 and "." not in text)


def _quoted(path: str) -> str:
    return "".join(f"%{ord(each):02X}" if each in "%?# " else each for each in path)


def _item(item: Any) -> Item:
    if isinstance(item, str):
        return Item(source(item))
    if not isinstance(item, dict) or not isinstance(item.get("url"), str):
        raise Invalid(f"an item of mm_items is {_kind(item)}: give a string, or an object with `url`, a string")
    content = item.get("content_hash")
    if content is None:
        return Item(source(item["url"]))
    match = _HASH.fullmatch(content) if isinstance(content, str) else None
    if match is None:
        raise Invalid(f"content_hash is {_shown(content)}: give sha256: and 64 hexadecimal digits")
    return Item(source(item["url"]), match[1].lower())


def _endpoints(body: dict[str, Any]) -> tuple[str, ...]:
    """One, several, or none: that is how SGLang's client says which of its backends it is."""
    ports, host = body.get("embedding_port"), body.get("prefill_host")
    if ports is None:
        return ()
    listed = ports if isinstance(ports, list) else [ports]
    if not all(_is_int(each) for each in listed) or len(listed) > MAX_RECEIVERS:
        raise Invalid(f"embedding_port is {_shown(ports)}: give a port, or a list of them")
    if not isinstance(host, str):
        raise Invalid(f"prefill_host is {_shown(host)}: give the language server's address")
    return tuple(dict.fromkeys(endpoint(host, each) for each in listed))


def shown_id(body: dict[str, Any]) -> str:
    """The request's id as answers and logs may show it; empty where it is none."""
    req_id = body.get("req_id")
    return req_id if isinstance(req_id, str) and len(req_id) <= MAX_ID and req_id.isprintable() else ""


def _req_id(body: dict[str, Any]) -> str:
    req_id = shown_id(body)
    if not req_id:
        raise Invalid(f"req_id is {_shown(body.get('req_id'))}: give a string of 1 to {MAX_ID} printable characters")
    return req_id


def _flat(items: list[Any]) -> list[Any]:
    """A list in the list is several items: requests in a batch may come that way."""
    return [each for item in items for each in (item if isinstance(item, list) else [item])]


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """Short, whatever it is: a body may hold a value of a hundred megabytes, or media."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:SHOWN]
    if isinstance(value, str):
        return repr(value[:SHOWN]) + ("..." if len(value) > SHOWN else "")
    return _kind(value)


def _kind(value: Any) -> str:
    """What it is in JSON."""
    if isinstance(value, dict):
        return "an object" + ("" if "url" in value else " without `url`")
    return "a list" if isinstance(value, list) else {str: "a string", type(None): "null"}.get(type(value), "a number")
