"""The cache is bounded in bytes, and its key holds everything that changes an embedding."""

import itertools

import pytest
import torch

from fleet_client.protocol import Meta, Sampling
from fleet_encoder.cache import Embedding, EmbeddingCache, content_key

OVERHEAD = Embedding(torch.empty(0), Meta(tokens=0, patches=0)).size


def embedding(rows: int) -> Embedding:
    return Embedding(torch.zeros(rows, 25, dtype=torch.float32), Meta(tokens=rows, patches=4 * rows))


def test_least_recently_used_goes_first() -> None:
    cache = EmbeddingCache(3 * (100 + OVERHEAD))
    for name in (b"a", b"b", b"c"):
        cache.put(name, embedding(1))
    assert cache.get(b"a") is not None
    cache.put(b"d", embedding(1))
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert cache.size <= cache.capacity
    assert (cache.hits, cache.misses) == (4, 1)


@pytest.mark.parametrize("capacity", [0, 100])
def test_what_does_not_fit_is_not_kept(capacity: int) -> None:
    cache = EmbeddingCache(capacity)
    cache.put(b"a", embedding(1))
    assert (len(cache), cache.size) == (0, 0)


def test_each_part_changes_the_key() -> None:
    parts = itertools.product(
        ("weights-1", "weights-2"),
        ("video", "audio"),
        (None, Sampling(fps=1.0), Sampling(fps=2.0), Sampling(frames=1)),
        (b"x", b"y", b""),
    )
    keys = {content_key(*each) for each in parts}  # type: ignore[arg-type]
    assert len(keys) == 2 * 2 * 4 * 3


def test_any_buffer_of_the_same_bytes_has_the_same_key() -> None:
    assert content_key("f", "image", None, b"abc") == content_key("f", "image", None, memoryview(bytearray(b"abc")))
