"""What the client knows about one encoder. Pure: events in, answers out, no sockets and no clock."""

import enum
from dataclasses import dataclass, field

from fleet_client.errors import Incompatible, Refused, TooLarge
from fleet_client.protocol import VERSION, Modality, Welcome

GREET_SECONDS = 1.0
"""Between two Hellos to an encoder that is there but does not serve."""

SILENCE_SECONDS = 10.0
"""An encoder says something every second to a client with work there; so long without a word means that it hangs."""

GRACE_SECONDS = 5.0
"""An encoder that is away no longer than this counts as one that will be back."""

SLOWEST_BYTES_PER_SECOND = 1 << 20
"""Media on the way to the encoder excuse its silence, at this rate."""

BACKOFF_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 15.0
"""An encoder that answers INTERNAL is asked again after the first, twice as long after each further failure."""

REDEEMING_HITS = 8
"""So many answers out of its cache tell as much about an encoder as one that it had to compute."""


class Phase(enum.Enum):
    """How far the connection is."""

    DOWN = "down"  # no connection; zmq keeps trying
    GREETED = "greeted"  # connected, Hello sent, no Welcome yet
    WAITING = "waiting"  # it answered, but takes no work: warming up or draining
    SERVING = "serving"
    MISMATCHED = "mismatched"  # it speaks another protocol version


@dataclass(slots=True)
class Work:
    """What one item at an encoder amounts to: estimated patches, and bytes that were sent."""

    patches: float
    bytes: int


@dataclass(slots=True, eq=False)
class Endpoint:
    """State of one encoder as this client sees it.

    Attributes:
        address: Normalised: as the caller wrote it, or one of those that its name stands for.
        phase: Of the connection.
        problem: Why it is not serving, for a person.
        welcome: What it said about itself on this connection.
        outstanding: This client's items there, by id.
        reported: Patches that it had pending by its last word, of all clients.
        sent_since: Patches sent after that word.
        mine: Patches of `outstanding`.
        bytes: Of `outstanding`.
        window: Patches above which this client sends it nothing more.
        busy_until: It said BUSY: nothing new before this time.
        alone: What it has of ours is a suspect, and nothing may be sent beside it.
        streak: How often in a row it answered INTERNAL; those that come while it is left in peace count once.
        retry_at: While it has a streak, when it is asked again.
        hits: Answers out of its cache since its last failure.
        heard: When it last sent anything.
        greet_at: When to say Hello (again).
        down_since: When it was last seen going, or first looked for.
        leaving: It is none of ours any more: its last answers are waited for, and the router asks it for nothing new.
        used: Number of the last choice: among equals, the one that waited longest is taken.
    """

    address: str
    phase: Phase = Phase.DOWN
    problem: str = "not connected yet"
    welcome: Welcome | None = None
    outstanding: dict[str, Work] = field(default_factory=dict)
    reported: float = 0.0
    sent_since: float = 0.0
    mine: float = 0.0
    bytes: int = 0
    window: float = float("inf")
    busy_until: float = 0.0
    alone: bool = False
    streak: int = 0
    retry_at: float = 0.0
    hits: int = 0
    heard: float = 0.0
    greet_at: float = 0.0
    down_since: float = 0.0
    leaving: bool = False
    used: int = 0

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self.phase is not Phase.DOWN

    @property
    def load(self) -> float:
        """Patches that are probably pending there."""
        return max(self.mine, self.reported + self.sent_since)

    def ready(self, now: float, pressed: bool = False) -> bool:
        """Whether it may get an item now, were it empty; `pressed` where nobody is well, and failing ones must do."""
        if self.phase is not Phase.SERVING or now < self.busy_until or self.alone:
            return False
        return pressed or not self.streak or now >= self.retry_at

    def open(self, now: float, pressed: bool = False) -> bool:
        """Whether it may get another item now. An encoder without work of ours may always be asked once."""
        if not self.ready(now, pressed):
            return False
        return not self.outstanding or ((pressed or not self.streak) and self.load < self.window)

    def well(self, now: float) -> bool:
        """Whether it can be counted on: there or about to be, and not failing."""
        if self.phase is Phase.DOWN:
            return not self.streak and now < self.given_up_at
        return not self.streak and self.phase is not Phase.MISMATCHED

    @property
    def silent_at(self) -> float:
        """When it counts as hanging, unless it says something before."""
        if not self.outstanding:
            return float("inf")
        return self.heard + SILENCE_SECONDS + self.bytes / SLOWEST_BYTES_PER_SECOND

    @property
    def given_up_at(self) -> float:
        """When an encoder that is down no longer counts as one that will be back."""
        return self.down_since + GRACE_SECONDS

    def wake_at(self, now: float, *, waiting: bool) -> float:
        """When something is due here though nothing happens; `waiting`: items wait for an encoder."""
        times = [float("inf")]
        if self.phase in (Phase.GREETED, Phase.WAITING):
            times.append(self.greet_at)
        if self.outstanding:
            times.append(self.silent_at if self.silent_at > now else now + GREET_SECONDS)
        if waiting and self.phase is Phase.SERVING:
            times += [each for each in (self.busy_until, self.retry_at) if each > now]
        return min(times)

    def objection(self, modality: Modality, size: int) -> Refused | None:
        """Why this encoder will never take such an item, or None where it might."""
        if self.phase is Phase.MISMATCHED:
            return Incompatible(self.problem, endpoint=self.address)
        if self.welcome is None:
            return None
        if modality not in self.welcome.modalities:
            return Incompatible(
                f"{self.welcome.model} at {self.address} does not encode {modality}, "
                f"only {', '.join(self.welcome.modalities)}",
                endpoint=self.address,
            )
        if size > self.welcome.max_item_bytes:
            return TooLarge(
                f"{size} bytes, the limit of {self.address} is {self.welcome.max_item_bytes} (spec.media.maxBytes)",
                endpoint=self.address,
            )
        return None

    def limit(self, modality: Modality) -> float:
        """Bytes of the largest item that it takes; infinite while it has not said, negative where it takes none."""
        if self.phase is Phase.MISMATCHED:
            return -1.0
        if self.welcome is None:
            return float("inf")
        return self.welcome.max_item_bytes if modality in self.welcome.modalities else -1.0

    def suits(self, modality: Modality, size: int) -> bool:
        """Whether it may take such an item."""
        return size <= self.limit(modality)

    # Events.

    def came_up(self, now: float) -> None:
        """Connected: a Hello is due."""
        self.phase = Phase.GREETED
        self.problem = "connected, but no Welcome came back: is it an encoder?"
        self.welcome = None
        self.greet_at = self.heard = now
        self.busy_until = self.reported = self.sent_since = 0.0
        self.retry_at = 0.0  # perhaps another process: to be tried, not yet to be trusted

    def went_down(self, problem: str, now: float) -> None:
        """The connection is gone, and what was sent on it."""
        if self.phase is not Phase.DOWN:
            self.down_since = now
        self.phase = Phase.DOWN
        self.problem = problem
        self.welcome = None
        self.outstanding.clear()
        self.mine, self.bytes, self.alone = 0.0, 0, False

    def introduced_itself(self, welcome: Welcome) -> None:
        """It answered a Hello."""
        if welcome.version != VERSION:
            self.mismatched(welcome.version, welcome.server)
            return
        if self.welcome is None or self.phase is not Phase.SERVING:
            self.window = float(max(1, welcome.max_pending_patches))
        self.welcome = welcome
        self.phase = Phase.SERVING if welcome.ready else Phase.WAITING
        self.problem = "" if welcome.ready else "it is there, but not ready: warming up or draining"

    def mismatched(self, version: int, server: str) -> None:
        """It speaks another version of the protocol."""
        self.phase = Phase.MISMATCHED
        self.problem = (
            f"{server or 'the encoder'} at {self.address} speaks protocol version {version}, this client version "
            f"{VERSION}: install the encoderfleet version that the encoders run"
        )

    def pause(self, problem: str, now: float) -> None:
        """Send it nothing new until it says Welcome again; ask for that in a while."""
        if self.phase is Phase.SERVING:
            self.phase = Phase.WAITING
        self.problem = problem
        self.greet_at = now + GREET_SECONDS

    def reports(self, pending: int) -> None:
        """It said how much work it has."""
        self.reported = float(pending)
        self.sent_since = 0.0

    def took(self, item: str, work: Work, now: float, *, alone: bool = False) -> None:
        """An item was sent to it."""
        self.alone = alone
        if not self.outstanding:
            self.heard = now  # it owes an answer only from now on
        self.outstanding[item] = work
        self.mine += work.patches
        self.bytes += work.bytes
        self.sent_since += work.patches

    def release(self, item: str) -> Work | None:
        """An item ended there, or is given up there."""
        work = self.outstanding.pop(item, None)
        if work is not None:
            self.mine = self.mine - work.patches if self.outstanding else 0.0
            self.bytes -= work.bytes
            self.alone = self.alone and bool(self.outstanding)
        return work

    def refused_as_busy(self, until: float) -> None:
        """It is full: what it holds of ours now is what fits, and the window closes to that."""
        self.busy_until = max(self.busy_until, until)
        self.window = max(1.0, self.mine)

    def failed(self, now: float) -> None:
        """It answered INTERNAL."""
        self.hits = 0
        if now >= self.retry_at:  # else it is of what was under way when the streak began
            self.streak += 1
            self.retry_at = now + min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * 2.0 ** min(self.streak - 1, 30))

    def succeeded(self, cached: bool) -> None:
        """It answered OK. Its cache also serves while its device is broken, so that proves little."""
        self.hits = self.hits + 1 if cached else REDEEMING_HITS
        if self.hits >= REDEEMING_HITS:
            self.streak, self.retry_at = 0, 0.0

    def finished(self, work: Work) -> None:
        """It served an item: open the window a little."""
        if self.welcome is not None:
            self.window = min(float(max(1, self.welcome.max_pending_patches)), self.window + work.patches / 4)
