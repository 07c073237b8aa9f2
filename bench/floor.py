"""The floor: what a program that did nothing but decode and run the tower would reach. One JSON object on stdout.

JPEG decoding by simplejpeg alone, one thread a CPU, then one forward pass over all photos at once with a torch thread a
CPU; nothing in between, nothing beside. The same with transformers' tower, one photo a forward, shows how much
of a difference the tower makes.
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import simplejpeg
import torch
from PIL import Image as Picture

from bench.baselines.work import Model
from bench.machine import cpu_times
from bench.media import uniquely
from fleet_encoder.families import family_for
from fleet_encoder.families.base import Image, ImageInfo
from fleet_encoder.families.passes import run_all

BATCH = 16


def measure(model: Path, photos: list[Path], rounds: int) -> dict[str, float]:
    """Medians over rounds: milliseconds an image of each part, and images a second of decode and forward."""
    cpus = len(os.sched_getaffinity(0))
    torch.set_num_threads(cpus)
    files = [uniquely(photos[number % len(photos)])(number) for number in range(BATCH)]
    family = family_for(model)(model)
    device = torch.device("cpu")
    reference = Model(model)
    tower, _ = family.load(model, device, reference.dtype)
    pictures = [np.ascontiguousarray(simplejpeg.decode_jpeg(data)) for data in files]
    features = [
        family.preprocess(Image(each, ImageInfo(each.shape[1], each.shape[0], "JPEG")), device) for each in pictures
    ]
    prepared = [reference.prepare_images([Picture.fromarray(each)]) for each in pictures]
    decode, ours, theirs = [], [], []
    before = cpu_times(os.getpid())
    with ThreadPoolExecutor(cpus) as pool, torch.inference_mode():
        for _ in range(rounds + 1):
            started = perf_counter()
            list(pool.map(simplejpeg.decode_jpeg, files))
            decoded = perf_counter()
            run_all(family.encode(tower, features))
            encoded = perf_counter()
            for each in prepared:
                reference.forward("image", each)
            decode.append(decoded - started)
            ours.append(encoded - decoded)
            theirs.append(perf_counter() - encoded)
    after = cpu_times(os.getpid())
    others = (after.machine - before.machine - after.server + before.server) / (after.at - before.at)
    # The first round is warm-up.
    parts = [median(each[1:]) for each in (decode, ours, theirs)]
    return {
        "per_second": BATCH / (parts[0] + parts[1]),
        "decode_ms": parts[0] / BATCH * 1e3,
        "forward_ms": parts[1] / BATCH * 1e3,
        "transformers_forward_ms": parts[2] / BATCH * 1e3,
        "cpus_others": max(0.0, others),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.model, arguments.photos, arguments.rounds)))


if __name__ == "__main__":
    main()
