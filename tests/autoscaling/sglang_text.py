"""/metrics of SGLang's encoder 0.5.23: the series that it has of requests, with its labels."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class SglangEncoder:
    """Its metrics without the encoder: what it counts is said by the test."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("model_name", "dp_rank", "modality")
        self.received = Counter("sglang:encoder_requests_received_total", "a", labels, registry=self.registry)
        self.ended = Counter("sglang:encoder_requests_total", "b", (*labels, "status"), registry=self.registry)
        self.preprocess = Histogram("sglang:encoder_preprocess_seconds", "c", labels, registry=self.registry)
        self.forward = Histogram("sglang:encoder_model_forward_seconds", "d", labels, registry=self.registry)
        self.waited = Histogram("sglang:encoder_queue_wait_seconds", "e", labels, registry=self.registry)

    def work(self, received: int, succeeded: int, failed: int = 0, *, rank: str = "0", **seconds: float) -> None:
        """Requests that came and that ended, and how long a batch took: `preprocess`, `forward`."""
        these = ('a "model"', rank, "image")
        self.received.labels(*these).inc(received)
        self.ended.labels(*these, "success").inc(succeeded)
        if failed:
            self.ended.labels(*these, "error").inc(failed)
        self.waited.labels(*these).observe(1e6)
        self.preprocess.labels(*these).observe(seconds.get("preprocess", 0.0))
        self.forward.labels(*these).observe(seconds.get("forward", 0.0))

    def text(self) -> str:
        """What /metrics says now."""
        return generate_latest(self.registry).decode()
