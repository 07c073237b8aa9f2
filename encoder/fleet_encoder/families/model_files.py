"""Reading a model directory in Hugging Face layout; every complaint names the file."""

import json
from pathlib import Path
from typing import Any

from fleet_encoder.errors import Invalid


def read_config(directory: Path) -> dict[str, Any]:
    """config.json of `directory`.

    Raises:
        Invalid: It is missing or no JSON object.
    """
    path = directory / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise Invalid(
            f"{path}: {error.strerror or error}; a model is a directory in Hugging Face layout (spec.model.path)"
        ) from error
    except ValueError as error:
        raise Invalid(f"{path} is not JSON ({error}): fetch the model again") from error
    if not isinstance(config, dict):
        raise Invalid(f"{path} holds no JSON object: fetch the model again")
    return config


def decode_threads(config: dict[str, Any]) -> int | None:
    """`video_decode_num_threads` of config.json, where it has one.

    Raises:
        Invalid: It is not a whole number of at least 0.
    """
    value = config.get("video_decode_num_threads")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Invalid(f"video_decode_num_threads in config.json is {value!r}: give a whole number, 0 for automatic")
    return value


def from_directory(kind: type[Any], directory: Path, *files: str) -> Any:
    """`kind.from_pretrained` on a local directory.

    Args:
        kind: A configuration, processor or feature extractor class of transformers.
        directory: The model's.
        files: Names, of which one at least must exist.

    Raises:
        Invalid: None of the files is there, or transformers refuses them.
    """
    if files and not any((directory / name).is_file() for name in files):
        raise Invalid(f"{directory} has no {' or '.join(files)}: fetch the whole model")
    try:
        return kind.from_pretrained(str(directory), local_files_only=True)
    except Exception as error:  # transformers raises whatever its validators raise
        reason = " ".join(str(error).split())[:300]
        raise Invalid(f"{directory}: {kind.__name__} cannot be read ({reason})") from error
