"""Watches, by kopf. The only module that knows it.

kopf does what a watch needs and what is easy to get wrong: lists and streams, reconnects, notices a silent connection,
renews its credentials. No change handlers, no daemons, no finalizers: what a pool shall be is decided from what is, by
`reconcile`, never from what changed. No indices either: until all that there is has been indexed kopf wakes every
object that waits for that whenever one more is seen, which takes minutes where there are 10,000 of them. `resync`
knows when all has been seen.
"""

import asyncio
from collections.abc import Collection, Iterator
from itertools import chain, repeat
from typing import Any

import kopf

from fleet_operator.controller import Controller
from fleet_operator.kube.access import Access
from fleet_operator.kube.resources import RESOURCES, UNLABELLED
from fleet_operator.specs.names import POOL_LABEL

CHUNK = 500
IDENTITY: Any = "encoderfleet"
"""Whom other operators would see, of whom there are none. kopf would make one of the user's name, and the user of a
container need not have any."""


class WatchError(Exception):
    """The operator cannot go on, and has to look anew at what the cluster has."""


class _Backoffs:
    """Seconds between tries of a request. They have no end, as kopf gives up a watch and all else with the last one.

    Begun anew for each request, as kopf iterates over the same object each time.
    """

    def __iter__(self) -> Iterator[float]:
        """Without end."""
        return chain((1, 2, 3, 5, 8, 13, 21), repeat(30))


async def watch(
    controller: Controller, access: Access, kinds: Collection[str], namespaces: Collection[str], stop: asyncio.Event
) -> None:
    """Watch until `stop` is set, or a signal asks the process to end.

    Args:
        controller: Told of everything.
        access: Of the API server.
        kinds: Kinds to watch; the cluster must have them.
        namespaces: Where; empty for the whole cluster.
        stop: Set to end.

    Raises:
        WatchError: A kind cannot be watched any more, as where its definition was deleted.
    """
    try:
        await kopf.operator(
            registry=_registry(controller, access, kinds),
            settings=watch_settings(kinds),
            standalone=True,
            identity=IDENTITY,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
            stop_flag=stop,
        )
    except Exception as error:  # kopf's own are private
        raise WatchError(f"a watch has ended: {str(error).strip() or type(error).__name__}") from error


class _NoDiffs(kopf.DiffBaseStorage):
    """kopf would copy every object that it sees to find out what changed in it. Nobody asks."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """kopf would look in every object for how far its handlers are. They are always done."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def watch_settings(kinds: Collection[str]) -> kopf.OperatorSettings:
    """How kopf watches these kinds."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.chunk_size = CHUNK
    settings.networking.error_backoffs = _Backoffs()
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    for kind in set(kinds) - UNLABELLED:
        settings.watching.label_selectors[_where(kind)] = POOL_LABEL
    return settings


def _where(kind: str) -> tuple[str, str, str]:
    resource = RESOURCES[kind]
    version = resource.api_version.rpartition("/")[2]
    return resource.group, version, resource.plural


def _registry(controller: Controller, access: Access, kinds: Collection[str]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        # Asked again whenever the API server does not accept a token any more: they are renewed every hour or so.
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=access.authority,
            insecure=access.insecure,
            token=await access.token(),
            certificate_path=access.certificate,
            private_key_path=access.key,
            proxy_url=access.proxy,
            trust_env=access.trust_env,
        )

    kopf.on.login(registry=registry)(login)
    for kind in kinds:
        _register(registry, controller, kind)
    return registry


def _register(registry: kopf.OperatorRegistry, controller: Controller, kind: str) -> None:
    # Told by the filter, which kopf asks once of every event: to run a handler for each costs several times as much.
    def tell(type: str | None, body: kopf.Body, **_: Any) -> bool:
        if type == "DELETED":
            controller.remove(kind, dict(body))
        else:
            controller.put(kind, dict(body))
        return False

    async def never(**_: Any) -> None:
        raise AssertionError("the filter lets nothing through")

    kopf.on.event(*_where(kind), id=kind.lower(), registry=registry, when=tell)(never)
