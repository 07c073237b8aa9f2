"""What a language server asks for, judged. Pure.

The fields are those that SGLang 0.5.23's client sends; whatever else is in a body is ignored, as its server does.
"""

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

import msgspec

from fleet_client.protocol import MAX_ITEMS, Modality
from fleet_encoder.errors import Invalid
from fleet_encoder.sources import urls
from fleet_encoder.wire.sglang import media_items
from fleet_encoder.wire.sglang.media_items import Item
from fleet_encoder.wire.sglang.showing import shown

MAX_PARTS = 4096
MAX_RECEIVERS = 1024
"""Ranks of one language server."""

MAX_ID = 1024
_MODALITIES: dict[str, Modality] = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio"}
_PORT = re.compile("[0-9]{1,5}")


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

    @property
    def key(self) -> tuple[str, int]:
        """By which two requests for the same part are known."""
        return self.req_id, self.part_idx


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
        raise Invalid(f"modality {shown(body.get('modality'))}: give IMAGE, VIDEO or AUDIO")
    num_parts, part_idx = body.get("num_parts"), body.get("part_idx")
    if not _is_int(num_parts) or not 0 < num_parts <= MAX_PARTS:
        raise Invalid(f"num_parts is {shown(num_parts)}: give 1 to {MAX_PARTS}")
    if not _is_int(part_idx) or not 0 <= part_idx < num_parts:
        raise Invalid(f"part_idx is {shown(part_idx)}: give 0 to {num_parts - 1}, as num_parts is {num_parts}")
    listed = body.get("mm_items")
    flat = _flat(listed if isinstance(listed, list) else [listed])
    if not 0 < len(flat) <= MAX_ITEMS:
        raise Invalid(f"mm_items has {len(flat)} items: send 1 to {MAX_ITEMS}")
    items = tuple(media_items.item(each) for each in flat)
    return EncodeRequest(Part(req_id, num_parts, part_idx, modality), items, _endpoints(body))


def receiver(body: dict[str, Any]) -> Receiver:
    """A body of `/scheduler_receive_url`.

    Raises:
        Invalid: Says which field is wrong.
    """
    count, where = body.get("receive_count"), body.get("receive_url")
    if not _is_int(count) or not 0 < count <= MAX_RECEIVERS:
        raise Invalid(f"receive_count is {shown(count)}: give 1 to {MAX_RECEIVERS}")
    host, _, port = where.rpartition(":") if isinstance(where, str) else ("", "", "")
    if not _PORT.fullmatch(port):
        raise Invalid(f"receive_url is {shown(where)}: give host:port")
    return Receiver(_req_id(body), count, endpoint(host, int(port)))


def endpoint(host: str, port: int) -> str:
    """A ZMQ address.

    Raises:
        Invalid: It cannot be one.
    """
    name = urls.host_name(host.strip("[]"))
    if not name or not 0 < port < 65536:
        raise Invalid(f"{shown(f'{host}:{port}')} is no address of a language server: give its host and port")
    return f"tcp://[{name}]:{port}" if ":" in name else f"tcp://{name}:{port}"


def _endpoints(body: dict[str, Any]) -> tuple[str, ...]:
    """One, several, or none: that is how SGLang's client says which of its backends it is."""
    ports, host = body.get("embedding_port"), body.get("prefill_host")
    if ports is None:
        return ()
    listed = ports if isinstance(ports, list) else [ports]
    if not all(_is_int(each) for each in listed) or len(listed) > MAX_RECEIVERS:
        raise Invalid(f"embedding_port is {shown(ports)}: give a port, or a list of them")
    if not isinstance(host, str):
        raise Invalid(f"prefill_host is {shown(host)}: give the language server's address")
    return tuple(dict.fromkeys(endpoint(host, each) for each in listed))


def shown_id(body: dict[str, Any]) -> str:
    """The request's id as answers and logs may show it; empty where it is none."""
    req_id = body.get("req_id")
    return req_id if isinstance(req_id, str) and len(req_id) <= MAX_ID and req_id.isprintable() else ""


def _req_id(body: dict[str, Any]) -> str:
    req_id = shown_id(body)
    if not req_id:
        raise Invalid(f"req_id is {shown(body.get('req_id'))}: give a string of 1 to {MAX_ID} printable characters")
    return req_id


def _flat(items: list[Any]) -> list[Any]:
    """A list in the list is several items: requests in a batch may come that way."""
    return [each for item in items for each in (item if isinstance(item, list) else [item])]


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
