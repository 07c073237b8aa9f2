"""Whether a language server can use an encoder's embeddings, by what both say of themselves. Pure.

Of another model, embeddings are noise to a language server, and nobody would notice. So what both name must be the
same; what only one names says nothing.
"""

from dataclasses import dataclass
from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.consumers.told import Told
from fleet_operator.environment import model_source

_LONGEST = 120
_MOST = 8
_DTYPES = {"half": "float16", "float": "float32"}
"""Other words for the same, as SGLang has them."""
_SAME_MODEL = "let spec.model of the pool and --model-path of the language server be the same model"
_SAME_DTYPE = "let spec.model.dtype of the pool and --dtype of the language server be the same"
_SAME_REVISION = "let spec.model.revision of the pool and --revision of the language server be the same"
_ZMQ = "start the language server with --encoder-transfer-backend zmq_to_tokenizer, or use a pool with runtime: SGLang"
_SAME_BACKEND = "let spec.sglang.transferBackend of the pool and --encoder-transfer-backend be the same"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one side says; empty where it does not say.

    Attributes:
        model_type: As in the model's `config.json`.
        architectures: Likewise.
        dtype: Of the embeddings, or of the language model.
        revision: Of the model's name.
        model: Path or name.
        backend: How embeddings are to be sent, in SGLang's words; of an encoder only where it can do just that one.
    """

    model_type: str = ""
    architectures: tuple[str, ...] = ()
    dtype: str = ""
    revision: str = ""
    model: str = ""
    backend: str = ""


def encoder_facts(pool: EncoderPool, told: Told) -> Facts:
    """Of an encoder.

    Args:
        pool: Its pool.
        told: What its `/model_info` says; SGLang's own encoder has none.
    """
    model, native = pool.spec.model, pool.spec.runtime == "Native"
    backend = pool.spec.sglang.transfer_backend
    return Facts(
        model_type=_text(told.model_type),
        architectures=_texts(told.architectures),
        dtype=_dtype(told.dtype) or _dtype(model.dtype),
        revision=_text(told.revision) or model.revision or "",
        model=_text(told.model_path) or model_source(model)[1],
        backend="" if native else "zmq_to_scheduler" if backend == "auto" else backend,
    )


def server_facts(model_info: Told, server_info: Told) -> Facts:
    """Of a language server: what its `/model_info` and `/server_info` say."""
    backend = _text(server_info.encoder_transfer_backend)
    return Facts(
        model_type=_text(model_info.model_type),
        architectures=_texts(model_info.architectures),
        dtype=_dtype(server_info.dtype),
        revision=_text(server_info.revision),
        model=_text(model_info.model_path) or _text(server_info.model_path),
        backend="" if backend == "auto" else backend,
    )


def mismatch(encoder: Facts, server: Facts) -> str:
    """Why the server cannot use the encoder and what to do; empty where nothing is known that keeps it."""
    if _differ(encoder.model_type, server.model_type):
        return _said("model_type", encoder.model_type, server.model_type, _SAME_MODEL)
    if encoder.architectures and server.architectures and not {*encoder.architectures} & {*server.architectures}:
        return _said("architectures", ", ".join(encoder.architectures), ", ".join(server.architectures), _SAME_MODEL)
    if _differ(encoder.revision, server.revision) and not _one_commit(encoder.revision, server.revision):
        return _said("revision", encoder.revision, server.revision, _SAME_REVISION)
    if _differ(encoder.dtype, server.dtype):
        return _said("dtype", encoder.dtype, server.dtype, _SAME_DTYPE)
    if not encoder.backend and server.backend == "mooncake":
        return f"it expects embeddings by mooncake, and the encoders send them by ZMQ: {_ZMQ}"
    if _differ(encoder.backend, server.backend):
        return _said("encoder-transfer-backend", encoder.backend, server.backend, _SAME_BACKEND)
    return ""


def doubt(encoder: Facts, server: Facts) -> str:
    """What may keep the server from using the encoder; empty where nothing does."""
    names = [facts.model for facts in (encoder, server)]
    if not all(map(_is_hub_name, names)) or names[0].casefold() == names[1].casefold():
        return ""
    return f"the encoders serve {names[0]}, and it {names[1]}: right only where both have the same encoder"


def _said(what: str, encoders: str, its: str, advice: str) -> str:
    return f"{what} of the encoders is {encoders}, its own is {its}: {advice}"


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _one_commit(one: str, other: str) -> bool:
    """Whether one is the other's beginning, as a commit is often shortened."""
    short, long = sorted((one, other), key=len)
    return len(short) >= 7 and long.startswith(short)


def _is_hub_name(model: str) -> bool:
    return model.count("/") == 1 and model[0] not in "/."


def _dtype(value: Any) -> str:
    """Empty for `auto`: that of the checkpoint, which may be either."""
    text = _text(value).removeprefix("torch.")
    return "" if text == "auto" else _DTYPES.get(text, text)


def _text(value: Any) -> str:
    """Whatever answers may be no encoder and no language server, and its words go into conditions and lines of logs."""
    return "".join(filter(str.isprintable, value[:_LONGEST])) if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for each in value[:_MOST] if (text := _text(each))) if isinstance(value, list) else ()
