"""From starting to gone: STARTING -> READY -> DRAINING. Pure; the server watches it."""

import enum

from fleet_encoder.errors import Draining


class State(enum.Enum):
    """What an encoder says of itself; the value is what `/readyz` answers."""

    STARTING = "starting: the model is not warm yet"
    READY = "ready"
    DRAINING = "draining: finishing what it has"


class Lifecycle:
    """State of one encoder. It never goes back.

    Attributes:
        state: See `State`.
        loaded: The weights are read, so their fingerprint is known.
        closed: Draining, and nothing at all is taken in any more.
    """

    def __init__(self) -> None:
        self.state = State.STARTING
        self.loaded = False
        self.closed = False

    @property
    def ready(self) -> bool:
        """Takes new work."""
        return self.state is State.READY

    @property
    def draining(self) -> bool:
        """Finishes what it has."""
        return self.state is State.DRAINING

    def warmed_up(self) -> None:
        """The first forward passes are done."""
        if self.state is State.STARTING:
            self.state = State.READY

    def drain(self) -> bool:
        """Take nothing new. False where that was already so."""
        first = self.state is not State.DRAINING
        self.state = State.DRAINING
        return first

    def check_open(self, *, late: bool = False) -> None:
        """Refuse new work unless ready.

        Args:
            late: It is from a caller who knows no other encoder to send it to: taken until `closed`.

        Raises:
            Draining: Says whether to wait or to go elsewhere.
        """
        if self.state is State.DRAINING and not (late and not self.closed):
            raise Draining("this encoder is shutting down: send the item to another one")
        if self.state is State.STARTING:
            raise Draining("this encoder is still warming up: send the item to another one, or retry shortly")
