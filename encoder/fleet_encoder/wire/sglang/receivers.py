"""Where a part is wanted, for callers that tell it by a call of its own, before or after `/encode`."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from fleet_encoder.errors import Busy, Expired, Invalid
from fleet_encoder.wire.sglang.request import Receiver

MAX_WAITING = 65_536
"""Parts that somebody waits for, or that a place is known for already."""


@dataclass(slots=True)
class _Meeting:
    count: int = 0
    endpoints: dict[str, None] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    awaited: bool = False
    since: float = field(default_factory=time.monotonic)


class Receivers:
    """Meetings of `/scheduler_receive_url` and `/encode`, by request id. Used on the event loop.

    Args:
        seconds: How long a place is kept for an `/encode` that does not come.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._meetings: OrderedDict[str, _Meeting] = OrderedDict()

    def add(self, receiver: Receiver) -> None:
        """One more place that wants the part.

        Raises:
            Invalid: It contradicts what another rank said.
            Busy: Too many parts wait for theirs.
        """
        meeting = self._meeting(receiver.req_id)
        if meeting.count not in (0, receiver.count):
            raise Invalid(
                f"receive_count is {receiver.count}, another rank of {receiver.req_id!r} said {meeting.count}: "
                "they must agree"
            )
        meeting.count = receiver.count
        meeting.endpoints[receiver.endpoint] = None
        if len(meeting.endpoints) >= meeting.count:
            meeting.complete.set()

    async def wait(self, req_id: str, seconds: float) -> tuple[str, ...]:
        """All places that want the part, which is forgotten by that: each gets it once.

        Args:
            req_id: Of the part.
            seconds: To wait for them.

        Raises:
            Expired: Not all have told in time.
            Busy: Too many parts wait for theirs.
        """
        meeting = self._meeting(req_id)
        meeting.awaited = True
        try:
            async with asyncio.timeout(seconds):
                await meeting.complete.wait()
        except TimeoutError:
            raise Expired(
                f"{len(meeting.endpoints)} of {meeting.count or 'its'} receivers of {req_id!r} told in time where they "
                "are (/scheduler_receive_url): is the language server's backend zmq_to_scheduler?"
            ) from None
        finally:
            if self._meetings.get(req_id) is meeting:
                del self._meetings[req_id]
        return tuple(meeting.endpoints)

    def forget(self, req_id: str) -> tuple[str, ...]:
        """The part will not be delivered; another one of that id may be. Returns the places known so far."""
        meeting = self._meetings.get(req_id)
        if meeting is None or meeting.awaited:
            return ()
        del self._meetings[req_id]
        return tuple(meeting.endpoints)

    def forget_old(self) -> None:
        """Called now and then: places told for what nobody ever asked to encode."""
        before = time.monotonic() - self._seconds
        while self._meetings:
            req_id, meeting = next(iter(self._meetings.items()))
            if meeting.since > before:
                return
            if meeting.awaited:
                self._meetings.move_to_end(req_id)
                meeting.since = time.monotonic()  # its own timeout ends it
                continue
            del self._meetings[req_id]

    def _meeting(self, req_id: str) -> _Meeting:
        meeting = self._meetings.get(req_id)
        if meeting is None:
            if len(self._meetings) >= MAX_WAITING:
                self._make_room()
            meeting = self._meetings[req_id] = _Meeting()
        return meeting

    def _make_room(self) -> None:
        """The oldest place that nobody has asked to encode for goes: whoever told it has long been answered."""
        for req_id, meeting in self._meetings.items():
            if not meeting.awaited:
                del self._meetings[req_id]
                return
        raise Busy(f"{MAX_WAITING} parts wait for their receivers: retry later, or at another encoder", 1.0)
