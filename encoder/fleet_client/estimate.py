"""What an item will probably cost, in patches, before any encoder has looked at it. Pure."""

from fleet_client.protocol import Modality

TYPICAL: dict[Modality, float] = {"image": 1024.0, "video": 16384.0, "audio": 1500.0}
"""Patches (audio: mel frames) of an item about which nothing is known."""

BYTES_PER_PATCH: dict[Modality, float] = {"image": 100.0, "video": 400.0, "audio": 300.0}
"""Of compressed media, roughly: a 640x480 JPEG of 150 kB has about 1,500 patches in Qwen2-VL."""

SPREAD = 8.0
"""An estimate from bytes stays within this factor of the typical item: a 40 MB PNG is not 400,000 patches."""

LEARNING = 0.2


class Estimator:
    """Estimates, corrected by what the encoders report: one running factor for each modality.

    Choosing an encoder only needs items to be right in proportion to each other, so a rough guess will do.
    """

    def __init__(self) -> None:
        self._factors: dict[tuple[Modality, bool], float] = {}

    def patches(self, modality: Modality, size: int) -> float:
        """Expected patches of an item of `size` bytes; 0 bytes is an URL, whose size nobody knows."""
        return _guess(modality, size) * self._factors.get((modality, size > 0), 1.0)

    def learn(self, modality: Modality, size: int, patches: int) -> None:
        """An item of `size` bytes turned out to have `patches`."""
        key = modality, size > 0
        seen = max(1, patches) / _guess(modality, size)
        before = self._factors.get(key)
        self._factors[key] = seen if before is None else before + LEARNING * (seen - before)


def _guess(modality: Modality, size: int) -> float:
    typical = TYPICAL[modality]
    if size <= 0:
        return typical
    return min(typical * SPREAD, max(typical / SPREAD, size / BYTES_PER_PATCH[modality]))
