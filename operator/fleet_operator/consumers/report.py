"""How far a pool's encoders are registered with its language servers. Plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ServerState:
    """One language server.

    Attributes:
        name: Of its pod, with the namespace.
        ready: Its pod is.
        wanted: Encoders of the pool that it shall have.
        registered: Of those, that it has.
        unreachable: Why its list of encoders cannot be read or written, for a while now; empty where it can.
        mismatch: Why it must not use the encoders; empty where it may.
        doubt: Why it is not known whether it may, or what may keep it; empty where nothing does.
    """

    name: str
    ready: bool
    wanted: int = 0
    registered: int = 0
    unreachable: str = ""
    mismatch: str = ""
    doubt: str = ""

    @property
    def settled(self) -> bool:
        """Nothing is about to change."""
        return bool(self.unreachable or self.mismatch) or self.registered == self.wanted


@dataclass(frozen=True, slots=True)
class Report:
    """Of one pool.

    Attributes:
        servers: Its language servers, by name.
        encoders: Its encoders that serve.
        deaf: Of those, names of pods that do not listen where language servers would ask them.
        problems: Consumers of which it cannot be said which pods they are, each with what to do.
        refusals: Language servers of other namespaces that do not take the encoders, each with what to do.
        settled: Nothing is about to change: all was looked at since the last change.
    """

    servers: tuple[ServerState, ...] = ()
    encoders: int = 0
    deaf: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    settled: bool = False
