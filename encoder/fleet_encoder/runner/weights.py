"""Reading a tower's tensors, and nothing else, out of a checkpoint in safetensors format."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from fleet_encoder.errors import Invalid

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_SAMPLE = 4096


class MissingFilesError(Invalid):
    """Files of the checkpoint hold tensors of the tower, and are not there.

    Attributes:
        files: Their names; no others are needed.
    """

    def __init__(self, message: str, files: Sequence[str]) -> None:
        super().__init__(message)
        self.files = tuple(files)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading took.

    Attributes:
        tensors: Read.
        bytes: Of those tensors as stored.
        files: Shards opened.
        seconds: From the index to the last tensor on the device.
        digest: SHA-256 over names, types, shapes and both ends of every tensor: other weights, other digest,
            however the checkpoint is cut into shards.
    """

    tensors: int
    bytes: int
    files: int
    seconds: float
    digest: str


def load(
    module: nn.Module,
    directory: Path,
    prefixes: Mapping[str, tuple[str, ...]],
    device: torch.device,
    dtype: torch.dtype,
) -> Loaded:
    """Fill `module`, whose parameters are on the meta device, from the checkpoint in `directory`.

    Args:
        module: Its parameters and stored buffers are replaced; floating point becomes `dtype`.
        directory: With `model.safetensors`, or its index and shards.
        prefixes: Prefix in the module -> prefixes that it has in checkpoints, the first that occurs is taken.
        device: Where the tensors go.
        dtype: What floating point tensors become.

    Raises:
        MissingFilesError: Files are not there.
        Invalid: A file or a tensor is damaged, missing, of the wrong shape, or not known to the module.
    """
    started = perf_counter()
    shards = _index(directory)
    names = _names(module, list(shards), prefixes, directory)
    wanted = module.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    digests: dict[str, bytes] = {}
    stored = 0
    by_shard: dict[Path, list[str]] = {}
    for name, source in names.items():
        by_shard.setdefault(shards[source], []).append(name)
    if missing := [path for path in by_shard if not path.exists()]:
        absent = sorted(os.path.relpath(path, directory) for path in missing)
        raise MissingFilesError(f"{missing[0]} cannot be read (no such file): fetch the model again", absent)
    for path, inside in by_shard.items():
        try:
            with safe_open(path, framework="pt") as shard:
                for name in inside:
                    tensor = shard.get_tensor(names[name])
                    if tensor.shape != wanted[name].shape:
                        raise Invalid(
                            f"{path}: {names[name]} is {list(tensor.shape)}, config.json makes it "
                            f"{list(wanted[name].shape)}: the files are of different models"
                        )
                    stored += tensor.nbytes
                    digests[name] = _digest(name, tensor)
                    target = dtype if tensor.is_floating_point() else tensor.dtype
                    # A copy even where nothing changes: what safetensors gives is a view of the mapped file.
                    tensors[name] = tensor.to(device, target, copy=True)
        except (OSError, SafetensorError) as error:
            raise Invalid(f"{path} cannot be read ({error}): fetch the model again") from error
    module.load_state_dict(tensors, strict=True, assign=True)
    module.requires_grad_(False)
    whole = hashlib.sha256(b"".join(digests[name] for name in sorted(digests)))
    return Loaded(len(tensors), stored, len(by_shard), perf_counter() - started, whole.hexdigest())


def _digest(name: str, tensor: torch.Tensor) -> bytes:
    head = f"{name} {tensor.dtype} {list(tensor.shape)} ".encode()
    flat = tensor.reshape(-1).view(torch.uint8)
    ends = flat[:_SAMPLE].numpy().tobytes() + flat[-_SAMPLE:].numpy().tobytes()
    return hashlib.sha256(head + ends).digest()


def _index(directory: Path) -> dict[str, Path]:
    """Tensor name -> the shard it is in. Opens the index, or the header of the only file."""
    index, single = directory / INDEX, directory / SINGLE
    try:
        if index.is_file():
            shards = json.loads(index.read_bytes())["weight_map"]
            return {name: directory / shard for name, shard in shards.items()}
        if single.is_file():
            with safe_open(single, framework="pt") as file:
                return dict.fromkeys(file.keys(), single)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        path = index if index.is_file() else single
        raise Invalid(f"{path} cannot be read ({error}): fetch the model again") from error
    raise MissingFilesError(
        f"{directory} has neither {INDEX} nor {SINGLE}: only safetensors checkpoints are read", [SINGLE]
    )


def _names(
    module: nn.Module, stored: list[str], prefixes: Mapping[str, tuple[str, ...]], directory: Path
) -> dict[str, str]:
    """Name in the module -> name in the checkpoint."""
    wanted = set(module.state_dict())
    computed = {name for name, _ in module.named_buffers()} - wanted
    found: dict[str, str] = {}
    for inner, outers in prefixes.items():
        outer = next((each for each in outers if any(name.startswith(each) for name in stored)), None)
        if outer is None:
            raise Invalid(
                f"{directory}: no tensor whose name starts with {' or '.join(outers)}: not a model of this family"
            )
        found |= {inner + name.removeprefix(outer): name for name in stored if name.startswith(outer)}
    for kind, names in (("lacks", wanted - set(found)), ("has unknown", set(found) - wanted - computed)):
        if names:
            some = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
            raise Invalid(
                f"{directory}: the checkpoint {kind} {len(names)} tensor(s) ({some}): config.json is of another model"
            )
    return {name: found[name] for name in wanted}
