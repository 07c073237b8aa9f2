"""Embeddings by content: an LRU bounded in bytes.

The key is a hash of the media bytes and of all that changes an embedding: processor settings, sampling, weights.
So a hit is exact, and skips decoding as well as the forward pass. Media are hashed in a worker thread.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from cachetools import LRUCache

from fleet_client.protocol import Meta, Modality, Sampling


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an item becomes: `[tokens, dim]` on the CPU, contiguous, and its metadata."""

    rows: torch.Tensor
    meta: Meta

    @property
    def size(self) -> int:
        """Bytes of the rows, and a guess for the metadata."""
        return self.rows.numel() * self.rows.element_size() + 512


def content_key(
    fingerprint: str, modality: Modality, sampling: Sampling | None, media: Any, preparation: str = ""
) -> bytes:
    """Hash of everything that decides an embedding.

    Args:
        fingerprint: Of weights, dtype and processor settings.
        modality: Of the item: the same file may be sent as video and as audio.
        sampling: Which frames.
        media: The file's bytes, any buffer; hashing releases the GIL.
        preparation: Name of one that is not the family's own.
    """
    digest = hashlib.blake2b(digest_size=32)
    digest.update(f"{fingerprint}|{modality}|{sampling}|{preparation}|".encode())
    digest.update(media)
    return digest.digest()


class EmbeddingCache:
    """LRU of embeddings; `capacity` 0 keeps nothing. Used on the event loop only."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.hits = self.misses = 0
        self._entries: LRUCache[bytes, Embedding] = LRUCache(capacity, getsizeof=lambda each: each.size)

    @property
    def size(self) -> int:
        """Bytes held now."""
        return int(self._entries.currsize)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Embedding | None:
        """The embedding, or None; counts a hit or a miss."""
        found: Embedding | None = self._entries.get(key)
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    def put(self, key: bytes, embedding: Embedding) -> None:
        """Keep `embedding` where it fits. Its rows must own their storage: a view would keep its whole batch alive."""
        if embedding.size <= self.capacity:
            self._entries[key] = embedding
