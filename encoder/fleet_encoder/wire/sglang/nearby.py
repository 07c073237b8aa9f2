"""The `config.json` of a language server's model, where it lies on this machine too. Nothing is fetched."""

import json
import re
from pathlib import Path
from typing import Any

from fleet_encoder.runner.hub import is_hub_name

MAX_BYTES = 1 << 20
_REVISION = re.compile(r"[\w-][\w.-]*", re.ASCII)


def config(model: Any, revision: Any) -> dict[str, Any]:
    """What it holds; empty where it is not to be had here. Reads files: blocking.

    Args:
        model: Path or name on the hub, as the language server says it: anything.
        revision: Of the name, likewise.
    """
    try:
        path = _path(model, revision) if isinstance(model, str) else None
        if path is None or not path.is_file() or path.stat().st_size > MAX_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _path(model: str, revision: Any) -> Path | None:
    if Path(model).is_absolute():
        return Path(model, "config.json")
    if not is_hub_name(model):
        return None
    from huggingface_hub import try_to_load_from_cache

    name = revision if isinstance(revision, str) and revision else "main"
    if not _REVISION.fullmatch(name):  # the library would read whatever lies there
        return None
    found = try_to_load_from_cache(model, "config.json", revision=name)
    return Path(found) if isinstance(found, str) else None
