"""A family's tower on a device: loads it, warms it up, and runs batches through it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fleet_encoder.families.base import Family, Features, Passes
from fleet_encoder.families.passes import run_all
from fleet_encoder.runner.weights import Loaded, MissingFilesError


class Runner:
    """`passes` may run in several threads, each batch in one at a time: a tower keeps nothing between passes.

    Args:
        directory: Of the model.
        family: Made from the same directory.
        device: Where the tower runs.
        dtype: Of the embeddings.
        fetch: Brings files of the checkpoint into the directory, by their names. None: all that there is is there.
        compute_dtype: Of the weights and of all between; None: as the embeddings.
    """

    def __init__(
        self,
        directory: Path,
        family: Family,
        device: torch.device,
        dtype: torch.dtype,
        fetch: Callable[[Sequence[str]], None] | None = None,
        compute_dtype: torch.dtype | None = None,
    ) -> None:
        self.directory = directory
        self.family = family
        self.device = device
        self.dtype = dtype
        self.compute_dtype = compute_dtype or dtype
        self._fetch = fetch
        self._tower: nn.Module | None = None
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, settings, dtypes and kind of device: equal ones give equal embeddings.

        It is known once loaded, and the same on every machine that computes alike.
        """
        if self._fingerprint is None:
            raise RuntimeError("the fingerprint covers the weights: call load() first")
        return self._fingerprint

    def load(self) -> Loaded:
        """Read the tower's tensors onto the device; first fetch the files that they are in.

        Raises:
            Invalid: The checkpoint is not what config.json says, and names the file; or it cannot be fetched.
        """
        if self.device.type == "cuda" and self.compute_dtype is torch.float32:
            # Who asks for float32 gets it: by default cuDNN's convolutions keep 10 bits of the mantissa.
            torch.backends.cudnn.allow_tf32 = False
        try:
            self._tower, loaded = self.family.load(self.directory, self.device, self.compute_dtype)
        except MissingFilesError as missing:  # only the tower itself knows which files its tensors are in
            if self._fetch is None:
                raise
            self._fetch(missing.files)
            self._tower, loaded = self.family.load(self.directory, self.device, self.compute_dtype)
        identity = {
            "family": self.family.name,
            "weights": loaded.digest,
            "settings": self.family.settings,
            "dtype": str(self.dtype),
            **({} if self.compute_dtype is self.dtype else {"compute": str(self.compute_dtype)}),
            # A GPU resizes in float where a CPU rounds in between: pixels differ by one level, embeddings by 1e-2.
            "device": self.device.type,
        }
        self._fingerprint = settings_digest(identity)
        return loaded

    def warm_up(self) -> None:
        """Run small made-up media through preprocessing and tower, so that no caller waits for first-use costs."""
        device = self.device if self.device.type == "cuda" else torch.device("cpu")
        examples = [self.family.example(modality) for modality in sorted(self.family.modalities)]
        batch = [self.family.preprocess(example, device) for example in examples]
        for items in (*([item] for item in batch), batch):
            self.encode(items)

    def encode(self, batch: list[Features]) -> list[torch.Tensor]:
        """`passes` without a break in between."""
        return run_all(self.passes(batch))

    @torch.inference_mode()
    def passes(self, batch: list[Features]) -> Passes:
        """Items of several requests, a forward pass at a time: a generator that yields between passes.

        Returns:
            One contiguous `[tokens, dim]` tensor an item, on the CPU, in pageable memory of its own.
        """
        if self._tower is None:
            raise RuntimeError("no weights: call load() first")
        steps = self.family.encode(self._tower, batch)
        queued: torch.cuda.Event | None = None
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return to_host([each.to(self.dtype) for each in end.value])
            if self.device.type == "cuda":
                # One pass is queued while another one runs. More would be out of reach for who gives the batch up.
                before, queued = queued, torch.cuda.Event()
                queued.record(torch.cuda.current_stream(self.device))
                if before is not None:
                    before.synchronize()
            yield


def to_host(embeddings: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each in memory of its own: a view would keep its whole batch alive, and on a GPU that in page-locked memory."""
    if embeddings[0].device.type != "cuda":
        return [each if _is_whole(each) else each.clone(memory_format=torch.contiguous_format) for each in embeddings]
    joined = embeddings[0] if len(embeddings) == 1 else torch.cat(embeddings)
    transfer = torch.empty(joined.shape, dtype=joined.dtype, pin_memory=True)
    transfer.copy_(joined, non_blocking=True)
    torch.cuda.current_stream(joined.device).synchronize()
    return [part.clone() for part in transfer.split([len(each) for each in embeddings])]


def _is_whole(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes


def settings_digest(settings: dict[str, Any]) -> str:
    """SHA-256 of settings, whatever their order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
