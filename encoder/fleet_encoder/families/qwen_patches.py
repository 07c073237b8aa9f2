"""Pixels to patches for the Qwen vision families: resize, then one gather, all in uint8.

Normalisation is not done here: it is linear, so the tower's patch embedding absorbs it (see `qwen_tower`). A patch is
therefore an eighth of the bytes that the Hugging Face processor makes of it. Within a patch the order is (frame, row,
column, channel), as in memory: a row of a patch is one run of bytes, which makes the gather a copy of whole runs.
"""

import numpy as np
import torch
from torch.nn import functional

from fleet_encoder.families.qwen_sizes import Sizes

SLICE = 8
"""Frames resized at a time: bounds the memory beside the decoded frames and the finished patches."""


def patch_rows(frames: torch.Tensor, sizes: Sizes, device: torch.device) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Resize frames and cut them into patches.

    Args:
        frames: uint8 `[n, height, width, 3]`, where n may end within a grid step: the last frame is repeated.
        sizes: Of the modality.
        device: Where to work; frames are moved there a slice at a time.

    Returns:
        uint8 `[t * h * w, temporal * patch * patch * 3]` on `device`, the patches of a token together; and (t, h, w).
    """
    count, height, width, _ = frames.shape
    step = sizes.temporal
    wide, high = sizes.target(width, height, count)
    grid = t, h, w = sizes.grid(width, height, count)
    rows = torch.empty((t, h * w, step * sizes.patch**2 * 3), dtype=torch.uint8, device=device)
    stride = max(step, SLICE // step * step)
    for start in range(0, count, stride):
        part = resize(to_device(frames[start : start + stride], device), wide, high)
        if missing := -len(part) % step:
            part = torch.cat([part, part[-1:].expand(missing, -1, -1, -1)])
        _gather(part, rows[start // step : (start + len(part)) // step], sizes)
    return rows.flatten(0, 1), grid


def to_device(frames: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`frames` on `device`; through pinned memory to a GPU, so that the copy does not hold up its queue."""
    if device.type == "cuda" and not frames.is_cuda:
        pinned = frames if frames.is_pinned() else frames.contiguous().pin_memory()
        return pinned.to(device, non_blocking=True)
    return frames.to(device)


def resize(frames: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Antialiased bicubic resize of uint8 `[n, h, w, 3]`, bit-equal to what torchvision does on the same device.

    The permuted view is channels-last in memory, which torch resizes without repacking.
    """
    if frames.shape[1:3] == (height, width):
        return frames
    planes = frames.permute(0, 3, 1, 2)
    if frames.device.type != "cpu":  # only the CPU has a uint8 kernel
        planes = planes.float()
    planes = functional.interpolate(planes, (height, width), mode="bicubic", align_corners=False, antialias=True)
    if planes.is_floating_point():
        planes = planes.clamp_(0, 255).round_().to(torch.uint8)
    return planes.permute(0, 2, 3, 1).contiguous()


def _gather(frames: torch.Tensor, rows: torch.Tensor, sizes: Sizes) -> None:
    """Write the patches of resized `frames` into `rows`, in the order (t, h, w, rows of a token, columns of it)."""
    _, height, width, _ = frames.shape
    patch, merge, step = sizes.patch, sizes.merge, sizes.temporal
    t, h, w = len(rows), height // (patch * merge), width // (patch * merge)
    run = patch * 3
    source = frames.view(t, step, h, merge, patch, w, merge, run).permute(0, 2, 5, 3, 6, 1, 4, 7)
    target = rows.view(t, h, w, merge, merge, step, patch, run)
    if frames.is_cuda:
        target.copy_(source)
        return
    # numpy copies an opaque item of `run` bytes at once, about three times as fast as torch's loop over bytes.
    item = np.dtype((np.void, run))
    np.copyto(target.numpy().view(item), source.numpy().view(item))
