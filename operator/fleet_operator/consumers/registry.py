"""What a language server's list of encoders has, and what it shall have -> URLs to register and to unregister. Pure.

A language server keeps its list in memory, asks each encoder for its health by itself, and takes one that does not
answer out of it until it does again. So a URL that is missing has one of two causes:

* *The list is another one*, as the language server was started anew: all that was in it is missing. Then all is
  registered again at once.
* *The language server has taken an encoder out*: others are still there. It puts it back when it answers again, so it
  is let do that for a while (`PATIENCE_SECONDS`): registered at once it would get requests that it cannot answer.

A URL counts once it has been seen on the list: what answers `200` to everything may be no list, and have none of them.

Never unregistered is what is not ours: URLs that people have put there.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from fleet_operator.addresses import at
from fleet_operator.specs.names import SGLANG_PORT

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one list. All of it can be lost: what is there and wanted is ours again.

    Attributes:
        ours: URLs that were registered by us, or were there when we wanted them, and are not known to be gone for good.
        there: Of those that were wanted, what the list had at the last look.
        out: URLs that have left a list that others are still in -> since when, in seconds.
        told: URLs that were registered since the last look.
    """

    ours: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()
    out: Mapping[str, float] = field(default_factory=dict)
    told: frozenset[str] = frozenset()

    def registered(self, urls: Iterable[str]) -> "Memory":
        """The language server has taken these."""
        return replace(self, ours=self.ours.union(urls), told=self.told.union(urls))

    def unregistered(self, urls: Iterable[str]) -> "Memory":
        """These were unregistered."""
        return replace(self, ours=self.ours.difference(urls))


@dataclass(frozen=True, slots=True)
class Changes:
    """What to ask a language server for, `unregister` first.

    Attributes:
        anew: It seems to have been started anew.
        forgotten: URLs that it has taken, and does not list.
    """

    unregister: tuple[str, ...] = ()
    register: tuple[str, ...] = ()
    anew: bool = False
    forgotten: frozenset[str] = frozenset()


def changes(
    wanted: Set[str], unwanted: Set[str], listed: Iterable[str], memory: Memory, now: float
) -> tuple[Changes, Memory]:
    """The changes, and what is remembered after the look at the list.

    Args:
        wanted: URLs of encoders that serve.
        unwanted: URLs of encoders of ours that do not, or must not be used there.
        listed: What the list has.
        memory: Of the look before.
        now: Seconds of a clock that never goes back.
    """
    listed = frozenset(listed)
    before = (memory.there | memory.out.keys()) & wanted
    anew = bool(before) and before.isdisjoint(listed)
    missing = wanted - listed
    out = {} if anew else {url: memory.out.get(url, now) for url in missing & before}
    register = [url for url in missing if url not in out or now - out[url] >= PATIENCE_SECONDS]
    # One that the language server has taken out itself would come back as soon as something answers there.
    unregister = ((unwanted & listed) | memory.ours) - wanted
    after = Memory(memory.ours | (wanted & listed), frozenset(wanted & listed), out)
    return Changes(tuple(sorted(unregister)), tuple(sorted(register)), anew, memory.told & missing), after


def encoder_url(ip: str) -> str:
    """Where language servers find the encoder of a pod."""
    return f"http://{at(ip, SGLANG_PORT)}"
