"""Which pods are language servers: asked for again and again, as they are too few, and too various, to be watched."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping

from fleet_operator.consumers.answers import Found, unanswered
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


class NobodySaysError(Exception):
    """There is no saying which pods are meant. The text says why, and what to do."""


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
        before = self._known.get(query)
        async with self._side_by_side:
            try:
                # Less a little: else the next look would come just before it is due.
                found = Found(await self._ask(query), "", time.monotonic() + seconds - 0.5)
            except NobodySaysError as error:
                found = unanswered(before, str(error), time.monotonic() + seconds - 0.5)
            except ApiError as error:
                if error.code not in (401, 403):
                    log.info("%s: not looked for: %s", query, error)
                    return
                # Where it was answered just now, that may be over soon.
                seconds = REFUSED_SECONDS if before is None or before.problem else seconds
                found = unanswered(before, _refused(query), time.monotonic() + seconds - 0.5)
        self._known[query] = found

    async def _ask(self, query: Query) -> tuple[LanguageServer, ...]:
        labels, name = query.labels, f"{query.namespace}/{query.service}"
        if query.service:
            service = await self._api.get("Service", query.namespace, query.service)
            if service is None:
                raise NobodySaysError(f"there is no Service {name}: make it, or correct the name")
            labels = tuple(sorted(((service.get("spec") or {}).get("selector") or {}).items()))
            if not labels:
                raise NobodySaysError(
                    f"the Service {name} has no selector: name the pods by their labels, with `selector`"
                )
        # What the API server has in memory is new enough, and costs its storage nothing.
        pods = self._api.list(
            "Pod",
            query.namespace,
            labelSelector=label_selector(labels),
            fieldSelector="status.phase=Running",
            resourceVersion="0",
        )
        return language_servers([body async for body in pods])


def _refused(query: Query) -> str:
    what = "get services and list pods" if query.service else "list pods"
    return (
        f"the operator may not {what} of the namespace {query.namespace}: give its service account that right there, "
        "serve that namespace too (watchNamespaces), or install the operator for all namespaces"
    )
