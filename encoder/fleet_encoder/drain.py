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
    """

    def __init__(self) -> None:
        self.state = State.STARTING
        self.loaded = False

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

    def check_open(self) -> None:
        """Refuse new work unless ready.

        Raises:
            Draining: Says whether to wait or to go elsewhere.
        """
        if self.state is State.DRAINING:
            raise Draining("this encoder is shutting down: send the item to another one")
        if self.state is State.STARTING:
            raise Draining("this encoder is still warming up: send the item to another one, or retry shortly")
