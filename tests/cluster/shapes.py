"""`4x32cpu:8gpu:512Gi`: how many nodes of which hardware, in a word."""

import re
from dataclasses import dataclass

PATTERN = re.compile(r"(?:(?P<count>\d+)x)?(?P<cpus>\d+)cpu(?::(?P<gpus>\d+)gpu)?(?::(?P<memory>\d+[KMGT]i))?")


@dataclass(frozen=True, slots=True)
class Shape:
    """Some nodes that are all alike."""

    count: int
    cpus: int
    gpus: int
    memory: str


def parse(text: str) -> Shape:
    """Read `[COUNTx]CPUScpu[:GPUSgpu][:MEMORY]`.

    Raises:
        ValueError: It is something else; with an example.
    """
    found = PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no shape of nodes; write for example 4x32cpu:8gpu or 2x16cpu:64Gi")
    cpus, memory = int(found["cpus"]), found["memory"]
    # 8 GiB for each CPU, as machines for GPUs have it.
    return Shape(int(found["count"] or 1), cpus, int(found["gpus"] or 0), memory or f"{8 * cpus}Gi")
