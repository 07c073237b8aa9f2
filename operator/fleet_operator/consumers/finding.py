"""Which pods are language servers: asked for again and again, as they are too few, and too various, to be watched."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fleet_operator.consumers.servers import LanguageServer, Query, label_selector, language_servers
from fleet_operator.kube.client import Api
from fleet_operator.kube.errors import ApiError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
MOST_PER_SECOND = 10
"""Questions to the API server: where there are very many consumers, each is asked for less often."""
REFUSED_SECONDS = 60.0
"""Until a question is asked again that the API server has refused."""
_SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to one question.

    Attributes:
        servers: Language servers.
        problem: Why it cannot be answered and what to do; empty where it can.
        until: When to ask again, in seconds.
    """

    servers: tuple[LanguageServer, ...] = ()
    problem: str = ""
    until: float = 0.0


class Finder:
    """Asks the API server.

    Args:
        api: The API server.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[Query, Found] = {}
        self._side_by_side = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def look(self, queries: Iterable[Query]) -> Mapping[Query, Found]:
        """Answers, each as new as it has to be. While the API server does not serve, they are as they were."""
        queries, now = set(queries), time.monotonic()
        self._known = {query: found for query, found in self._known.items() if query in queries}
        due = [query for query in queries if query not in self._known or self._known[query].until <= now]
        seconds = max(INTERVAL_SECONDS, len(queries) / MOST_PER_SECOND)
        await asyncio.gather(*(self._one(query, seconds) for query in due))
        return self._known

    async def _one(self, query: Query, seconds: float) -> None:
        async with self._side_by_side:
            try:
                servers, problem = await self._ask(query)
            except ApiError as error:
                if error.code not in (401, 403):
                    log.info("%s: not looked for: %s", query, error)
                    return
                servers, problem, seconds = (), _refused(query), REFUSED_SECONDS
        # Less a little: else the next look would come just before it is due.
        self._known[query] = Found(servers, problem, time.monotonic() + seconds - 0.5)

    async def _ask(self, query: Query) -> tuple[tuple[LanguageServer, ...], str]:
        labels, name = query.labels, f"{query.namespace}/{query.service}"
        if query.service:
            service = await self._api.get("Service", query.namespace, query.service)
            if service is None:
                return (), f"there is no Service {name}: make it, or correct the name"
            labels = tuple(sorted(((service.get("spec") or {}).get("selector") or {}).items()))
            if not labels:
                return (), f"the Service {name} has no selector: name the pods by their labels, with `selector`"
        # What the API server has in memory is new enough, and costs its storage nothing.
        pods = self._api.list(
            "Pod",
            query.namespace,
            labelSelector=label_selector(labels),
            fieldSelector="status.phase=Running",
            resourceVersion="0",
        )
        return language_servers([body async for body in pods]), ""


def _refused(query: Query) -> str:
    what = "get services and list pods" if query.service else "list pods"
    return (
        f"the operator may not {what} of the namespace {query.namespace}: give its service account that right there, "
        "serve that namespace too (watchNamespaces), or install the operator for all namespaces"
    )
