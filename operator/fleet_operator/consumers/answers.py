"""What the API server says of all consumers -> who is a language server of which pools. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fleet_operator.consumers.consent import refusal, takes
from fleet_operator.consumers.servers import LanguageServer, Ports, Query
from fleet_operator.observed.mirror import Key


class Place(NamedTuple):
    """Where a language server has its list of encoders."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Target:
    """One language server, for all pools whose encoders it is to be told of.

    Attributes:
        server: Its pod.
        apis: Ports where it may say what it is, as its pools have them; one is right, if they differ.
        pools: These.
    """

    server: LanguageServer
    apis: tuple[int, ...]
    pools: frozenset[Key]


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to one question.

    Attributes:
        servers: Language servers; of a question that cannot be answered now, those that were found last.
        problem: Why it cannot be answered and what to do; empty where it can.
        until: When to ask again, in seconds.
    """

    servers: tuple[LanguageServer, ...] = ()
    problem: str = ""
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Served:
    """All of it.

    Attributes:
        places: Language servers.
        problems: Of each pool whose questions were all asked: what keeps them from an answer.
        refusals: Of each pool: who does not take its encoders.
    """

    places: Mapping[Place, Target]
    problems: Mapping[Key, tuple[str, ...]]
    refusals: Mapping[Key, tuple[str, ...]]


def unanswered(before: Found | None, problem: str, until: float) -> Found:
    """Of a question that cannot be answered now.

    A right that is missing for a moment, or a Service that is made anew, is no word of the language servers: they are
    the ones that they were, until an answer lacks them.
    """
    return Found(before.servers if before else (), problem, until)


def served(asked: Mapping[Key, Sequence[tuple[Query, Ports]]], found: Mapping[Query, Found]) -> Served:
    """Who is to be told of what.

    Args:
        asked: The questions of each pool.
        found: The answers; of some there may be none yet.
    """
    places: dict[Place, Target] = {}
    problems, refusals = dict[Key, tuple[str, ...]](), dict[Key, tuple[str, ...]]()
    for key, each in asked.items():
        answers = [(found[query], ports) for query, ports in each if query in found]
        if len(answers) == len(each):
            problems[key] = _said(answer.problem for answer, _ in answers)
        refusals[key] = _said(refusal(answer.servers, key.namespace) for answer, _ in answers)
        for answer, ports in answers:
            for server in answer.servers:
                if takes(server, key.namespace):
                    place = Place(server.ip, ports.registry)
                    known = places.get(place, Target(server, (), frozenset()))
                    apis = tuple(sorted({*known.apis, ports.api}))
                    # On a node's own address one follows another.
                    its = server if server.ready and not known.server.ready else known.server
                    places[place] = Target(its, apis, known.pools | {key})
    return Served(places, problems, refusals)


def _said(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that say something, each once."""
    return tuple(dict.fromkeys(filter(None, texts)))
