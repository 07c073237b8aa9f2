"""Forward passes of a full-size vision tower, ours against transformers' own. JSON lines, ratios last.

The tower is Qwen2.5-VL-7B's (676 M parameters, from its published configuration) with random weights; a forward pass
takes as long with those as with trained ones. Photos of 640x480 are random pixels, preprocessed on the device. Ours is
what the encoder's forward stage runs: one pass over the batch, embeddings copied to the host. The baseline is
transformers' tower with its default attention on the same device and dtype, one pass over the same batch.

Also checked in the same run: the embeddings' relative error, ours and the baseline's, against transformers in float32.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

from fleet_encoder.families import small
from fleet_encoder.families.base import Features, Image, ImageInfo
from fleet_encoder.families.qwen2_5_vl import Qwen25VL
from fleet_encoder.runner.placement import choose_device
from fleet_encoder.runner.runner import Runner

TOWERS: dict[str, dict[str, Any]] = {
    "7b": {"out_hidden_size": 3584, "depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420},
    "shallow": {"out_hidden_size": 512, "depth": 4, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420},
}


def write_model(directory: Path, tower: dict[str, Any]) -> None:
    """A model of the full-size tower and a language model just large enough to be one."""
    text = {
        **small.VISION_TEXT,
        "hidden_size": tower["out_hidden_size"],
        "intermediate_size": 64,
        "num_attention_heads": tower["out_hidden_size"] // 64,
    }
    text |= {"num_key_value_heads": 4, "num_hidden_layers": 1}
    config = Qwen2_5_VLConfig(
        architectures=sorted(Qwen25VL.architectures), vision_config=tower, text_config=text, **small.VISION_TOKENS
    )
    small.save_vision(directory, Qwen2_5_VLForConditionalGeneration, config, seed=0)


def photos(count: int, width: int, height: int) -> list[np.ndarray[Any, Any]]:
    """Random pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return list(pixels)


def seconds(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Median of `rounds` after two for warm-up."""
    times = []
    for _ in range(rounds + 2):
        started = perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(perf_counter() - started)
    return median(times[2:])


def error(rows: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative, by norm."""
    return float((rows.float().cpu() - exact).norm() / exact.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tower", choices=TOWERS, default="7b")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--dtype", default="bfloat16")
    arguments = parser.parse_args()
    device, dtype = choose_device("auto"), getattr(torch, arguments.dtype)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        write_model(directory, TOWERS[arguments.tower])
        family = Qwen25VL(directory)
        runner = Runner(directory, family, device, dtype)
        loaded = runner.load()
        runner.warm_up()
        exact = Qwen2_5_VLForConditionalGeneration.from_pretrained(directory, dtype=torch.float32).model.visual
    print(json.dumps({"weights_mb": round(loaded.bytes / 1e6), "load_seconds": round(loaded.seconds, 2)}))
    exact = exact.to(device).eval()
    theirs = type(exact)(exact.config).to(device=device, dtype=dtype).eval()
    theirs.load_state_dict(exact.state_dict())
    processor = Qwen2VLImageProcessor()
    ratios = {}
    for batch in arguments.batches:
        pictures = photos(batch, 640, 480)
        features: list[Features] = [
            family.preprocess(Image(each, ImageInfo(640, 480, "RAW")), device) for each in pictures
        ]
        inputs = processor(
            images=[torch.from_numpy(each).permute(2, 0, 1) for each in pictures], return_tensors="pt", device=device
        )
        pixels, grids = inputs["pixel_values"], inputs["image_grid_thw"].to(device)
        with torch.inference_mode():
            truth = exact(pixels, grid_thw=grids).pooler_output.float().cpu()
            halves = pixels.to(dtype)
            baseline = theirs(halves, grid_thw=grids).pooler_output
            ours = torch.cat(runner.encode(features))
            row = {
                "batch": batch,
                "patches": sum(each.patches for each in features),
                "error": error(ours, truth),
                "baseline_error": error(baseline, truth),
                "images_per_second": batch / seconds(lambda f=features: runner.encode(f), device, arguments.rounds),
                "baseline_images_per_second": batch
                / seconds(
                    lambda p=halves, g=grids: theirs(p, grid_thw=g).pooler_output.cpu(), device, arguments.rounds
                ),
            }
            image = Image(pictures[0], ImageInfo(640, 480, "RAW"))
            row["preprocess_ms"] = 1e3 * seconds(lambda i=image: family.preprocess(i, device), device, arguments.rounds)
        ratios[batch] = row["images_per_second"] / row["baseline_images_per_second"]
        print(json.dumps(row))
    print(json.dumps({"ratio": ratios, "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}))


if __name__ == "__main__":
    main()
