"""A pool's pods, and what is known of them and of a language server -> which encoders it shall have. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet_operator.api import EncoderPool
from fleet_operator.consumers.compatibility import Facts, doubt, mismatch
from fleet_operator.consumers.registry import encoder_url
from fleet_operator.observed.pods import PodState

_UNKNOWN = "compatibility unknown: the encoders do not tell their model on port 30000"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an encoder says of itself.

    Attributes:
        facts: The same, with what its pool says.
        told: Whether it says anything; SGLang's own encoder is not asked.
        deaf: Nobody listens there.
    """

    facts: Facts
    told: bool = True
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """For one language server, of one pool.

    Attributes:
        wanted: URLs that it shall have.
        unwanted: URLs that it shall not have.
        mismatch: Why it shall not have those that serve; empty where it shall have all.
        doubt: What may keep it from using them; empty where nothing does.
    """

    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    mismatch: str = ""
    doubt: str = ""


def serving(pods: Iterable[PodState]) -> list[PodState]:
    """Those that are to be asked for embeddings."""
    return [pod for pod in pods if pod.ready and not pod.leaving and not pod.over and pod.ip and pod.speaks_sglang]


def wishes(
    pool: EncoderPool, pods: Iterable[PodState], known: Mapping[str, Identity], server: Facts, unsure: str
) -> Wishes:
    """What one language server shall have.

    Args:
        pool: The pool.
        pods: Its pods.
        known: Name of a pod -> what it says of itself. One that is not there yet has not been asked.
        server: What the language server says of itself.
        unsure: Why it says nothing, in words; empty where it does.
    """
    pods = list(pods)
    wanted, refused = set[str](), set[str]()
    mismatches, doubts = dict[str, None](), dict.fromkeys([unsure])
    judged: dict[int, tuple[str, str]] = {}
    """By the facts' place in memory: of hundreds of encoders they are one and the same, see `encoders`."""
    for pod in serving(pods):
        identity = known.get(pod.name)
        if identity is None:
            continue
        if identity.deaf:
            refused.add(encoder_url(pod.ip))
            continue
        facts = identity.facts
        if id(facts) not in judged:
            judged[id(facts)] = mismatch(facts, server), doubt(facts, server)
        unfit, unsure_of_it = judged[id(facts)]
        if unfit:
            refused.add(encoder_url(pod.ip))
            mismatches[unfit] = None
            continue
        wanted.add(encoder_url(pod.ip))
        doubts[unsure_of_it] = None
        if not identity.told:
            doubts[_UNKNOWN] = None
    # One that has ended stays in the list of pods for long, and its address may be another's by now.
    away = {encoder_url(pod.ip) for pod in pods if pod.ip and not pod.over and (not pod.ready or pod.leaving)}
    return Wishes(
        wanted=frozenset(wanted),
        unwanted=frozenset((away | refused) - wanted),
        mismatch="; ".join(filter(None, mismatches)),
        doubt="; ".join(filter(None, doubts)),
    )
