"""A pool's consumers -> what to ask the API server for; the pods that it answers with -> language servers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleet_operator.addresses import at
from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import ENCODERS_FROM


class Query(NamedTuple):
    """Which pods are language servers: those that a Service selects or, where it is empty, those with labels."""

    namespace: str
    service: str
    labels: tuple[tuple[str, str], ...]


class Ports(NamedTuple):
    """Of a language server: of its list of encoders, and of its API."""

    registry: int
    api: int


@dataclass(frozen=True, slots=True)
class LanguageServer:
    """The pod of one.

    Attributes:
        name: With its namespace.
        ip: Its address.
        ready: It serves, and is to go on serving.
        takes_from: Namespaces other than its own whose encoders it takes, as its pod says; `*` for all.
        uid: Of its pod: another one may get its name or its address.
    """

    name: str
    ip: str
    ready: bool
    takes_from: frozenset[str] = frozenset()
    uid: str = ""

    def address(self, port: int) -> str:
        """`host:port`."""
        return at(self.ip, port)


def queries(pool: EncoderPool) -> list[tuple[Query, Ports]]:
    """One for each consumer."""
    own = pool.metadata.namespace or ""
    found = []
    for each in pool.spec.consumers:
        if each.service is not None:
            query = Query(each.service.namespace or own, each.service.name, ())
        else:
            labels = each.selector.match_labels if each.selector else {}
            query = Query(each.namespace or own, "", tuple(sorted(labels.items())))
        found.append((query, Ports(each.bootstrap_port, each.port)))
    return found


def label_selector(labels: Iterable[tuple[str, str]]) -> str:
    """As the API takes it."""
    return ",".join(f"{key}={value}" for key, value in labels)


def language_servers(pods: Iterable[Mapping[str, Any]]) -> tuple[LanguageServer, ...]:
    """Of these pods, those that run and have an address.

    One that is leaving is among them: until its end it may have requests, and asks encoders for them.
    """
    return tuple(sorted((each for body in pods if (each := _language_server(body))), key=lambda each: each.name))


def _language_server(body: Mapping[str, Any]) -> LanguageServer | None:
    meta, status = body["metadata"], body.get("status") or {}
    if status.get("phase") != "Running" or not status.get("podIP"):
        return None
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    name = f"{meta['namespace']}/{meta['name']}"
    there = (meta.get("annotations") or {}).get(ENCODERS_FROM, "")
    takes_from = frozenset(filter(None, map(str.strip, there.split(","))))
    ready = ready and "deletionTimestamp" not in meta
    return LanguageServer(name, status["podIP"], ready, takes_from, meta.get("uid", ""))
