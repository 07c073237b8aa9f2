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
        seconds: How long either waits for the other.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._meetings: OrderedDict[str, _Meeting] = OrderedDict()

    def add(self, receiver: Receiver) -> None:
        """One more place that wants the part.

        Raises:
            Invalid: It contradicts what another rank said.
            Busy: Too many parts wait.
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

    async def wait(self, req_id: str) -> tuple[str, ...]:
        """All places that want the part, which is forgotten by that: each gets it once.

        Raises:
            Expired: Not all have told in time.
            Busy: Too many parts wait.
        """
        meeting = self._meeting(req_id)
        meeting.awaited = True
        try:
            async with asyncio.timeout(self._seconds):
                await meeting.complete.wait()
        except TimeoutError:
            raise Expired(
                f"{len(meeting.endpoints)} of {meeting.count or 'its'} receivers of {req_id!r} told where they are in "
                f"{self._seconds:.0f} s (/scheduler_receive_url): is the language server's backend zmq_to_scheduler?"
            ) from None
        finally:
            self._meetings.pop(req_id, None)
        return tuple(meeting.endpoints)

    def forget(self, req_id: str) -> None:
        """The part will not be delivered."""
        self._meetings.pop(req_id, None)

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
                raise Busy(f"{MAX_WAITING} parts wait for their receivers: retry later, or at another encoder", 1.0)
            meeting = self._meetings[req_id] = _Meeting()
        return meeting
