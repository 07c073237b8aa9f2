"""What a language server expects of its encoders, by what its API says, against what this encoder is. Pure.

Of another model, embeddings are noise to it, and nobody would notice. So what both name must be the same; what only one
names says nothing. (The operator judges the same for all pods of a pool, and by more.)
"""

from collections.abc import Mapping
from typing import Any

import fleet_compatibility as both

_FIX = "let both serve the same model"
_LONGEST = 200


def bootstrap_port(server_info: Mapping[str, Any]) -> int | None:
    """Where it keeps its list of encoders; None where it says nothing of one."""
    port = server_info.get("encoder_bootstrap_port")
    return port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536 else None


def mismatch(
    own: Mapping[str, Any], model_info: Mapping[str, Any], server_info: Mapping[str, Any], config: Mapping[str, Any]
) -> str:
    """Why the language server cannot use this encoder, and what to do; empty where nothing is known that keeps it.

    Args:
        own: This encoder's `/model_info`.
        model_info: Of the language server.
        server_info: Likewise.
        config: Its model's `config.json`; empty where that cannot be read here.
    """
    if server_info.get("language_only") is False:
        return "it runs its own encoder: start it with --language-only"
    if server_info.get("encoder_transfer_backend") == "mooncake":
        return "it expects embeddings by mooncake: start it with --encoder-transfer-backend zmq_to_tokenizer"
    if both.differ(own.get("model_type"), model_info.get("model_type")):
        return f"its model_type is {_text(model_info['model_type'])}, here it is {own['model_type']}: {_FIX}"
    theirs = model_info.get("architectures")
    if isinstance(theirs, list) and theirs and not {*map(str, theirs)} & {*own["architectures"]}:
        return f"its architecture is {_text(theirs[0])}, here it is {own['architectures'][0]}: {_FIX}"
    name, its_name = _model(own), _model(model_info)
    width, its_width = own.get("hidden_size"), both.text_width(config)
    # What lies at the same path here may be another model.
    if its_width and its_width != width and not both.differ(own.get("model_type"), config.get("model_type")):
        return f"its model, {its_name}, takes embeddings of width {its_width}, here they have {width}: {_FIX}"
    if both.other_size(name, its_name):
        return f"its model is {its_name}, here it is {name}: another size, {_FIX}"
    if both.other_revision(own.get("revision"), server_info.get("revision")):
        return f"its revision is {_text(server_info['revision'])}, here it is {own['revision']}: let both have the same"
    dtype = both.dtype(server_info.get("dtype"))
    if both.differ(own.get("dtype"), dtype):
        return f"its dtype is {_text(dtype)}, here it is {own['dtype']}: let --dtype of both be the same"
    return ""


def doubts(own: Mapping[str, Any], model_info: Mapping[str, Any], server_info: Mapping[str, Any]) -> list[str]:
    """What may keep the language server from using this encoder, or end it while it does, one line each."""
    name, its_name = _model(own), _model(model_info)
    found = [both.risk(server_info.get("encoder_transfer_backend"))]
    if both.other_name(name, its_name):
        found.append(f"its model is {its_name}, here it is {name}: right only where both have the same encoder")
    return list(filter(None, found))


def _model(info: Mapping[str, Any]) -> str:
    """Name or path; a name is at its end, and that is what is shown."""
    path = info.get("model_path")
    return both.printable(path[-_LONGEST:]) if isinstance(path, str) else ""


def _text(value: Any) -> str:
    """Whatever answers may be no language server, and its words go into a line of the log."""
    return both.printable(str(value)[:_LONGEST])
