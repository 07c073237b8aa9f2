"""What the pools on this machine have taken: ports and CPUs.

Two `encoderfleet up` must not choose the same free port a moment apart, nor pin their replicas to the same CPUs. A
claim is the name of an abstract Unix socket: the kernel gives it to one process only, and takes it back when that
process ends, however it ends. Nothing is left behind on disk.
"""

import errno
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

UNIX_SOCKETS = Path("/proc/net/unix")


class Claims:
    """Numbers that this process has for itself, until `close` or the end of the process.

    Args:
        scope: Claims in different scopes do not see each other.
    """

    def __init__(self, scope: str = "encoderfleet") -> None:
        self._scope = scope
        self._held: dict[tuple[str, int], socket.socket] = {}

    def take(self, kind: str, number: int) -> bool:
        """Claim `number` of `kind`; False where somebody has it, this process included.

        Raises:
            OSError: This process may open no further file, or the like.
        """
        name = None
        try:
            name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            name.bind(f"\0{self._scope}/{kind}/{number}")
        except OSError as error:
            if name is not None:
                name.close()
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        self._held[kind, number] = name
        return True

    def of_others(self, kind: str) -> frozenset[int]:
        """Numbers of `kind` that somebody else has; empty where the kernel does not tell."""
        try:
            names = UNIX_SOCKETS.read_text(errors="replace").split()
        except OSError:
            return frozenset()
        prefix = f"@{self._scope}/{kind}/"
        numbers = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
        held = {number for of_kind, number in self._held if of_kind == kind}
        return frozenset(int(number) for number in numbers if number.isdecimal()) - held

    def give_back(self, kind: str, number: int) -> None:
        """Let others have `number` of `kind` again."""
        self._held.pop((kind, number)).close()

    def close(self) -> None:
        """Give everything back."""
        for key in list(self._held):
            self.give_back(*key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
