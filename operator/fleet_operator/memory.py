"""Giving memory back that was needed once: thousands of objects are read at the start, and little is kept of them."""

import ctypes
import gc


def give_back() -> None:
    """Collect garbage, and return what the allocator holds free to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
