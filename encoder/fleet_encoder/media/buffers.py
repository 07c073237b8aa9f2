"""A media file's bytes as decoders want them, without a copy: as a tensor, or as a file to read from."""

import io

import numpy as np
import torch

from fleet_encoder.errors import Invalid

Data = bytes | bytearray | memoryview
"""A media file in memory: what was downloaded, or a frame of the message that brought it."""


def as_tensor(data: Data) -> torch.Tensor:
    """The bytes as uint8 [n], which shares and keeps alive the memory of `data`. Only to be read from."""
    # Not torch.frombuffer: it warns about read-only memory, and silencing a warning is not thread-safe.
    return torch.utils.dlpack.from_dlpack(np.frombuffer(data, np.uint8))


def as_file(data: Data) -> io.IOBase:
    """The bytes as a binary file, for libraries that read and seek."""
    return io.BytesIO(data) if isinstance(data, bytes) else _View(data)


def check_not_empty(data: Data) -> None:
    """Refuse a file of no bytes, which decoders report in words that say something else.

    Raises:
        Invalid: `data` is empty.
    """
    if not len(data):
        raise Invalid("the media file is empty: send its bytes")


class _View(io.RawIOBase):
    """`io.BytesIO` would copy any buffer but `bytes`."""

    def __init__(self, data: Data) -> None:
        self._data = memoryview(data).cast("B")
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._data[self._position : self._position + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position
