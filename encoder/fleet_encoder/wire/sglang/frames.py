"""What a language server gets for one part of a request: frame 0 describes the embedding, frame 1 is its bytes.

Names and values are those of SGLang 0.5.23's `EmbeddingData`; its receiver takes the description apart by them.
"""

from collections.abc import Sequence
from typing import Any

from fleet_client.protocol import Meta, Modality
from fleet_encoder.wire.sglang.pickled import Call, Global, Instance, dumps
from fleet_encoder.wire.sglang.request import Part

_DATA = Global("sglang.srt.disaggregation.encoder.receiver", "EmbeddingData")
_MODALITY = Global("sglang.srt.managers.schedule_batch", "Modality")
_LONGS, _FLOATS = Global("torch", "LongTensor"), Global("torch", "FloatTensor")

_MODALITIES: dict[Modality, int] = {"image": 1, "video": 2, "audio": 3}


def embedding(part: Part, rows: int, dim: int, dtype: str, metas: Sequence[Meta], grid_seconds: float | None) -> bytes:
    """Frame 0 of a part that was encoded.

    Args:
        part: Which part of which request.
        rows: Of all items' embeddings, one behind another.
        dim: Width of a row.
        dtype: As torch names it, `bfloat16`.
        metas: Of the items, in order.
        grid_seconds: Seconds of a grid step of video, where the language model wants to know.
    """
    extra: dict[str, Any] = {}
    if part.modality == "video" and grid_seconds is not None:
        extra["second_per_grid_ts"] = Call(_FLOATS, ([grid_seconds] * len(metas),))
    return _described(part, shape=[rows, dim], dtype=Global("torch", dtype), grid=grid(part.modality, metas), **extra)


def grid(modality: Modality, metas: Sequence[Meta]) -> Call:
    """`[items, 3]` of (t, h, w) in patches; of audio `[items]` of mel frames."""
    if modality == "audio":
        return Call(_LONGS, ([meta.audio_frames for meta in metas],))
    return Call(_LONGS, ([list(meta.grid or ()) for meta in metas],))


def failure(part: Part, message: str, code: int) -> bytes:
    """The only frame of a part that could not be encoded; `code` is an HTTP status."""
    return _described(part, shape=None, dtype=None, grid=None, message=message, code=code)


def _described(
    part: Part,
    *,
    shape: list[int] | None,
    dtype: Global | None,
    grid: Call | None,
    message: str | None = None,
    code: int | None = None,
    **extra: Any,
) -> bytes:
    attributes = {
        "req_id": part.req_id,
        "num_parts": part.num_parts,
        "part_idx": part.part_idx,
        "grid_dim": grid,
        "modality": Call(_MODALITY, (_MODALITIES[part.modality],)),
        "embedding": None,
        "send_time": None,
        "dtype": dtype,
        "shape": shape,
        "_mr_ptr": None,
        "error_msg": message,
        "error_code": code,
        **extra,
    }
    return dumps(Instance(_DATA, attributes))
