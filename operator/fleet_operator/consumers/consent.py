"""Which language servers may be told of a pool's encoders. Pure.

A language server sends the media of its users to every encoder that it is told of. So who may write a pool in one
namespace must not have those of another sent to it: the pods of language servers there have to agree. Who may write
these pods has their media anyway.
"""

from collections.abc import Iterable

from fleet_operator.consumers.servers import LanguageServer
from fleet_operator.specs.names import ENCODERS_FROM
from fleet_operator.wording import named


def takes(server: LanguageServer, namespace: str) -> bool:
    """Whether it takes encoders of a pool of this namespace: of its own it does without a word."""
    own, _, _ = server.name.partition("/")
    return own == namespace or bool(server.takes_from & {namespace, "*"})


def refusal(servers: Iterable[LanguageServer], namespace: str) -> str:
    """Which of these take no encoders of this namespace, and what to do; empty where all take them."""
    names = [each.name for each in servers if not takes(each, namespace)]
    if not names:
        return ""
    return (
        f"{named(names)}: of another namespace, and told of no encoder of {namespace}: "
        f'annotate the pods there, in their template, with {ENCODERS_FROM}: "{namespace}"'
    )
