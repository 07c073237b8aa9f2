"""Tells a machine that has no memory or threads left from a file that is damaged: decoders report both alike.

FFmpeg's own "cannot allocate memory" is no sign: it says that of damaged headers, which ask for absurd sizes.
"""

from fleet_encoder.errors import Internal

_SIGNS = ("DefaultCPUAllocator", "can't start new thread", "std::bad_alloc")
"""In messages of torch, of threading and of the C++ library."""


def check_shortage(error: BaseException) -> None:
    """Raise where `error` is this machine's fault and not the file's.

    Raises:
        Internal: There was no memory or thread left; another encoder may have some.
    """
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS):
        raise Internal("the encoder has no memory or threads left for this item: see its log and its limits") from error
