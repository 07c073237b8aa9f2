"""What may come in: bounded in patches and in bytes; beyond that BUSY, at once.

Counting, and the futures of who waits for room. A patch is one patch of a vision tower or one frame of an audio tower.
What an item costs is known only after its header is read, so it is admitted on an estimate, and corrected then.
"""

import asyncio
from dataclasses import dataclass

from fleet_client.protocol import Modality
from fleet_encoder.errors import Busy

ESTIMATED_PATCHES: dict[Modality, int] = {"image": 1024, "video": 16384, "audio": 1500}
"""What an unread item is taken for: a 640x480 photo is about 1,600 patches in Qwen2-VL, a short clip ten times that."""

MAX_ITEMS = 8192
"""Items at one moment, however small: those that wait for a download hold no patches yet."""

MIN_RETRY_SECONDS = 0.05
MAX_RETRY_SECONDS = 10.0
BYTES_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class Ticket:
    """What one admitted item holds until it is delivered."""

    patches: int
    bytes: int


class Admission:
    """Pending work of one encoder.

    Args:
        max_patches: An item is admitted while less than this is pending. One item alone always is.
        max_bytes: Likewise for media bytes.
    """

    def __init__(self, max_patches: int, max_bytes: int) -> None:
        self.max_patches = max_patches
        self.max_bytes = max_bytes
        self.patches = 0
        self.bytes = 0
        self.items = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def admit(self, modality: Modality, size: int | None, served_per_second: float) -> Ticket:
        """Take an item of `size` bytes in.

        Args:
            modality: Of the item.
            size: Media bytes that came with the message. None for an URL: it holds no patches until it is fetched, so
                that slow hosts do not close the encoder to everybody else.
            served_per_second: Patches a second served of late, for the retry hint.

        Raises:
            Busy: It does not fit; says when to retry.
        """
        patches = 0 if size is None else ESTIMATED_PATCHES[modality]
        size = size or 0
        if self.items >= MAX_ITEMS:
            raise Busy(f"{self.items} items are pending: retry later or at another encoder", 1.0)
        if self.items and (self.patches + patches > self.max_patches or self.bytes + size > self.max_bytes):
            raise Busy(
                f"{self.patches} patches and {self.bytes} bytes are pending, the limits are {self.max_patches} "
                f"and {self.max_bytes} (spec.admission): retry later or at another encoder",
                self._retry_hint(patches, size, served_per_second),
            )
        ticket = Ticket(patches, size)
        self.patches += patches
        self.bytes += size
        self.items += 1
        return ticket

    def _retry_hint(self, patches: int, size: int, served_per_second: float) -> float:
        """Seconds until so much more may fit. Bytes leave as fast as the patches do that they become."""
        excess = float(self.patches + patches - self.max_patches)
        over = self.bytes + size - self.max_bytes
        if over > 0 and self.bytes:
            excess = max(excess, over * self.patches / self.bytes)
        hint = retry_hint(excess, served_per_second)
        # Who was refused for its bytes sends them again to ask.
        return max(BYTES_RETRY_SECONDS, hint) if over > 0 else hint

    async def room(self) -> None:
        """Wait until less is pending than the limits: for items whose bytes and patches come later."""
        if not self._full:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    @property
    def _full(self) -> bool:
        return self.patches >= self.max_patches or self.bytes >= self.max_bytes

    def _let_in(self) -> None:
        if self._waiters and not self._full:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def correct(self, ticket: Ticket, *, patches: int | None = None, size: int | None = None) -> None:
        """Replace the estimate by what the header or the download said. Never refuses: the item is in."""
        if patches is not None:
            self.patches += patches - ticket.patches
            ticket.patches = patches
        if size is not None:
            self.bytes += size - ticket.bytes
            ticket.bytes = size
        self._let_in()

    def release(self, ticket: Ticket) -> None:
        """The item has its outcome: it is work no more."""
        self.correct(ticket, patches=0, size=0)

    def leave(self) -> None:
        """The item is gone from every queue: there may be another one."""
        self.items -= 1


def retry_hint(excess_patches: float, served_per_second: float) -> float:
    """Seconds until `excess_patches` are likely gone, within sane bounds."""
    if served_per_second <= 0:
        return 1.0
    return min(MAX_RETRY_SECONDS, max(MIN_RETRY_SECONDS, excess_patches / served_per_second))
