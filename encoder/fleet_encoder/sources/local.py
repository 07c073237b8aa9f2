"""Files below `spec.media.localRoot`. Blocking: runs in a worker thread."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from fleet_encoder.errors import Invalid, TooLarge

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW | os.O_NONBLOCK


def read(path: str, shown: str, root: Path | None, max_bytes: int, cover: Callable[[int], None]) -> bytes:
    """Read one regular file.

    Args:
        path: Absolute, as the URL names it.
        shown: The URL as messages show it: a path may hold line breaks, and bytes that are no text.
        root: `spec.media.localRoot`; None: no file is read.
        max_bytes: Of the file.
        cover: Called with the file's size before memory is taken for it; raises to refuse.

    Raises:
        Invalid: It is not below the root, also by way of a symbolic link; it does not exist, is not a regular file, or
            may not be read.
        TooLarge: By its size, before it is read.
    """
    if root is None:
        raise Invalid(
            "file: URLs are off in this pool: set spec.media.localRoot to the directory that may be read, "
            "or send the bytes"
        )
    try:
        descriptor = _open_below(path, os.path.realpath(root), shown)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Invalid(f"{shown}: {reason}: check the path and who may read it") from None
    try:
        return _read(descriptor, shown, max_bytes, cover)
    except OSError as error:
        raise Invalid(f"{shown}: reading it failed: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _open_below(path: str, root: str, shown: str) -> int:
    """Open without waiting, then ask the kernel what was opened: a link swapped in between changes nothing."""
    real = os.path.realpath(path)
    _check_below(real, root, shown)
    _check_regular(os.lstat(real), shown)  # opening a device or a FIFO would already have an effect
    descriptor = os.open(real, _FLAGS)
    try:
        _check_below(os.readlink(f"/proc/self/fd/{descriptor}"), root, shown)
        _check_regular(os.fstat(descriptor), shown)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read(descriptor: int, shown: str, max_bytes: int, cover: Callable[[int], None]) -> bytes:
    """Read as many bytes as the file had when it was judged, should it grow meanwhile."""
    size = os.fstat(descriptor).st_size
    if size > max_bytes:
        raise TooLarge(
            f"{shown}: {size} bytes, the pool's limit is {max_bytes} (spec.media.maxBytes): "
            "raise it, or make the file smaller"
        )
    cover(size)
    pieces = []
    while size and (piece := os.read(descriptor, size)):  # one call but for files over 2 GiB
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_below(real: str, root: str, shown: str) -> None:
    if os.path.commonpath((real, root)) != root:
        raise Invalid(f"{shown}: not below spec.media.localRoot: move it there, or send the bytes")


def _check_regular(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"{shown}: not a regular file: name a file that holds the media")
