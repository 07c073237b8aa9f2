"""What a language server expects of its encoders, by what its API says, against what this encoder is. Pure.

Of another model, embeddings are noise to it, and nobody would notice. So what both name must be the same; what only one
names says nothing. (The operator judges the same for all pods of a pool, and by more.)
"""

from collections.abc import Mapping
from typing import Any

_FIX = "let both serve the same model"
SHORTEST_COMMIT = 7
_LONGEST = 120
_DTYPES = {"half": "float16", "float": "float32"}


def bootstrap_port(server_info: Mapping[str, Any]) -> int | None:
    """Where it keeps its list of encoders; None where it says nothing of one."""
    port = server_info.get("encoder_bootstrap_port")
    return port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536 else None


def mismatch(own: Mapping[str, Any], model_info: Mapping[str, Any], server_info: Mapping[str, Any]) -> str:
    """Why the language server cannot use this encoder, and what to do; empty where nothing is known that keeps it.

    Args:
        own: This encoder's `/model_info`.
        model_info: Of the language server.
        server_info: Likewise.
    """
    if server_info.get("language_only") is False:
        return "it runs its own encoder: start it with --language-only"
    if server_info.get("encoder_transfer_backend") == "mooncake":
        return "it expects embeddings by mooncake: start it with --encoder-transfer-backend zmq_to_tokenizer"
    if _differ(own.get("model_type"), model_info.get("model_type")):
        return f"its model_type is {_text(model_info['model_type'])}, here it is {own['model_type']}: {_FIX}"
    theirs = model_info.get("architectures")
    if isinstance(theirs, list) and theirs and not {*map(str, theirs)} & {*own["architectures"]}:
        return f"its architecture is {_text(theirs[0])}, here it is {own['architectures'][0]}: {_FIX}"
    if _other_commit(own.get("revision"), server_info.get("revision")):
        return f"its revision is {_text(server_info['revision'])}, here it is {own['revision']}: let both have the same"
    dtype = _dtype(server_info.get("dtype"))
    if dtype not in ("", "auto", own.get("dtype")):
        return f"its dtype is {_text(dtype)}, here it is {own['dtype']}: let --dtype of both be the same"
    return ""


def _differ(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and bool(one and other) and one != other


def _other_commit(one: Any, other: Any) -> bool:
    """A commit is often shortened: the beginning of one is the same one."""
    if not _differ(one, other):
        return False
    short, long = sorted((one, other), key=len)
    return len(short) < SHORTEST_COMMIT or not long.startswith(short)


def _dtype(value: Any) -> str:
    text = value.removeprefix("torch.") if isinstance(value, str) else ""
    return _DTYPES.get(text, text)


def _text(value: Any) -> str:
    """Whatever answers may be no language server, and its words go into a line of the log."""
    return "".join(filter(str.isprintable, str(value)[:_LONGEST]))
