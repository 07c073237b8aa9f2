"""What an item becomes."""

from dataclasses import dataclass, field
from typing import Any

from fleet_client.protocol import Meta


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One embedding and what is known about it.

    Attributes:
        embedding: `[tokens, dim]`: a numpy array, or a torch tensor with `framework="torch"`. In the encoder's dtype,
            but bfloat16, which numpy lacks, is widened to float32 (exactly) in numpy arrays.
        meta: Grid, frame indices, timestamps and the like.
        cached: No forward pass was needed: it came from the cache, or with an identical item.
        stage_ms: Milliseconds in each stage of the encoder, waiting included.
        endpoint: The encoder that computed it.
        attempts: How often the item was sent; 1 where the first encoder took it.
        total_ms: Milliseconds from the call to the answer: the wait for an encoder and the network are in it.
    """

    embedding: Any = field(repr=False)
    meta: Meta
    cached: bool
    stage_ms: dict[str, float]
    endpoint: str
    attempts: int
    total_ms: float
