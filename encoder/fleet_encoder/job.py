"""One item on its way through the stages, and who waits for it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fleet_client.protocol import Modality, Sampling
from fleet_encoder.admission import Ticket
from fleet_encoder.cache import Embedding
from fleet_encoder.errors import Cancelled, Expired, ItemError
from fleet_encoder.families.base import Features, Media, MediaInfo, Preparation
from fleet_encoder.memory import Share


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item's media come from: bytes that came with the message, or an URL. Exactly one is given.

    Attributes:
        size: Bytes of the media, about, where an URL holds them itself.
    """

    data: Any = None
    url: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: an embedding or an error.

    Attributes:
        shared: The embedding came from the cache, or from an identical item in flight.
    """

    embedding: Embedding | None
    error: ItemError | None
    shared: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """An item, from admission to delivery. Filled in stage by stage; used on the event loop.

    Attributes:
        request: Request id, for logs.
        index: Number of the item in its request.
        deadline: `time.monotonic()` after which nobody wants the answer.
        preparation: How its media become features.
        check: Judges the media's bytes, in a worker thread: what it raises ends the job.
        outcome: Set once, by `finish`.
        stage_seconds: Time in each stage, waiting included.
        followers: Identical items that wait for this one's embedding.
        cancelled: Its caller does not wait any more.
        queued: In a stage's queue, until the stage comes to it: also after the outcome of a job that was given up.
        left: Called when it has its outcome and is in no queue any more.
        running: A stage works on it.
        memory: Share that its decoded media or features hold, until the outcome; None while there are none.
        download: Under way now; hung up where the job is cancelled.
    """

    request: str
    index: int
    modality: Modality
    source: Source
    ticket: Ticket
    sampling: Sampling | None = None
    deadline: float | None = None
    preparation: Preparation | None = None
    check: Callable[[Any], None] | None = None
    outcome: "asyncio.Future[Outcome]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    stage_seconds: dict[str, float] = field(default_factory=dict)
    followers: "list[Job]" = field(default_factory=list)
    cancelled: bool = False
    queued: bool = False
    left: Callable[[], None] | None = None
    running: bool = False
    entered: float = field(default_factory=time.monotonic)
    key: bytes | None = None
    info: MediaInfo | None = None
    frame_indices: list[int] | None = None
    decoded_bytes: int = 0
    memory: Share | None = None
    download: "asyncio.Task[Any] | None" = None
    media: Media | None = None
    features: Features | None = None
    embedding: Embedding | None = None

    @property
    def patches(self) -> int:
        """Work that the job is: known after its header was read, estimated before."""
        return self.ticket.patches

    def live(self, now: float) -> bool:
        """Somebody still waits for this very item."""
        return not self.outcome.done() and not self.cancelled and (self.deadline is None or now < self.deadline)

    def wanted(self, now: float) -> bool:
        """Somebody still waits for what this job computes."""
        return self.live(now) or any(follower.live(now) for follower in self.followers)

    def cancel(self) -> None:
        """Nobody waits for this item any more. What it computes goes on only for its followers.

        While it is worked on, it ends with that step; while it waits, at once, and gives back what it holds.
        """
        self.cancelled = True
        if self.download is not None:
            self.download.cancel()
        elif not self.running and not self.wanted(time.monotonic()):
            self.finish(Outcome(None, self.unwanted_error()))

    def leave(self) -> None:
        """Tell `left`, once, where nothing here holds the job any more."""
        if self.left is not None and not self.queued and self.outcome.done():
            left, self.left = self.left, None
            left()

    def unwanted_error(self) -> ItemError:
        """Why nobody waits: for the reply, if anybody reads it."""
        if self.cancelled:
            return Cancelled("cancelled by its caller")
        return Expired("its deadline passed before it was encoded: give it more time, or the pool more replicas")

    def finish(self, outcome: Outcome) -> None:
        """End the job and its followers; what a later caller calls is ignored. Drops what it held."""
        self.source = Source()
        self.media = self.features = None
        now = time.monotonic()
        if not self.outcome.done():
            late = outcome.embedding is not None and not self.live(now)
            self.outcome.set_result(Outcome(None, self.unwanted_error()) if late else outcome)
        followers, self.followers = self.followers, []
        for follower in followers:
            follower.finish(Outcome(outcome.embedding, outcome.error, shared=True))
