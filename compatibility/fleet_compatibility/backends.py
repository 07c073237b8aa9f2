"""The ways in which SGLang's language servers take embeddings, `--encoder-transfer-backend`."""

from typing import Any

_RISK = (
    "a failed request may end it, as it takes embeddings by zmq_to_scheduler: start it with "
    "--encoder-transfer-backend zmq_to_tokenizer"
)


def risk(backend: Any) -> str:
    """What a language server with this one is in for, and what to do; empty where nothing (SGLang 0.5.23)."""
    return _RISK if backend == "zmq_to_scheduler" else ""
