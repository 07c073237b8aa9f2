"""/metrics of an encoder, by the encoder's own registry."""

from prometheus_client import generate_latest

from fleet_encoder.metrics import Metrics

STAGES = (
    "fetch",
    "inspect",
    "decode_image",
    "decode_video",
    "preprocess_image",
    "preprocess_video",
    "forward",
    "forward_long",
)


class Encoder:
    """An encoder's metrics without the encoder: what it counts is said by the test.

    Args:
        device: That it has loaded its weights on; None: not yet.
        workers: Of each stage.
        slots: For the CPU.
    """

    def __init__(self, device: str | None = "cuda", workers: int = 2, slots: int = 4) -> None:
        self.metrics = Metrics()
        self.metrics.ready.set(device is not None)
        self.metrics.cpu_slots.set(slots)
        for name in STAGES:
            self.metrics.stage(name).watch(lambda: 0, workers)
        if device is not None:
            self.metrics.info.info({"device": device, "fingerprint": "f00d", "pool": 'a "pool"\\with{braces}\n'})

    def work(self, patches: float, *, offered: float | None = None, cached: float = 0.0, **busy: float) -> None:
        """Encode `patches`, answer `cached` ones from the cache, keep stages busy for so many seconds."""
        image, video = (self.metrics.computed.labels(each) for each in ("image", "video"))
        image.inc(patches / 4)
        video.inc(patches - patches / 4)
        self.metrics.served.labels("image").inc(patches + cached)
        self.metrics.offered.labels("image").inc(patches + cached if offered is None else offered)
        for stage, seconds in busy.items():
            self.metrics.stage_busy.labels(stage).inc(seconds)

    def text(self) -> str:
        """What /metrics says now."""
        return generate_latest(self.metrics.registry).decode()
