"""Embeddings into a safetensors file: tensor "0" is the first argument's, and so on; failed items have none."""

import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fleet_cli.encode_sources import Source
from fleet_client import Encoding, Welcome

SUFFIX = ".safetensors"


def check(path: Path) -> None:
    """Refuse before the work what would fail after it.

    Raises:
        ValueError: safetensors is missing, or the directory is; says what to do.
    """
    if importlib.util.find_spec("safetensors") is None:
        raise ValueError("needs safetensors: pip install safetensors")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is not a directory: create it first")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file: give another name")
    if path.exists() and path.suffix != SUFFIX:  # most likely a photo: OUT was forgotten
        raise ValueError(f"{path} exists and is no {SUFFIX} file: it is not written over, give another name")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path.parent} cannot be written to")


def save(path: Path, items: dict[int, tuple[Source, Encoding]], welcomes: dict[str, Welcome]) -> None:
    """Write the embeddings, all or nothing; metadata has a JSON object for each item, under the same key.

    Raises:
        OSError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {str(index): np.ascontiguousarray(encoding.embedding) for index, (_, encoding) in items.items()}
    metadata = {str(index): json.dumps(_about(*item, welcomes)) for index, item in items.items()}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        part = Path(scratch) / path.name
        try:
            save_file(tensors, part, metadata=metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        # safetensors makes it for its owner alone
        part.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        part.replace(path)


def _umask() -> int:
    """It can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _about(source: Source, encoding: Encoding, welcomes: dict[str, Welcome]) -> dict[str, Any]:
    welcome = welcomes.get(encoding.endpoint)
    return {
        "source": source.name,
        "modality": source.modality,
        "model": None if welcome is None else welcome.model,
        "fingerprint": None if welcome is None else welcome.fingerprint,
        "meta": msgspec.to_builtins(encoding.meta),
    }
