"""Requests to the API server: few, counted, and with errors that say what was asked.

Only the verbs that the operator needs. Watching is kopf's.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client

from fleet_operator.kube.errors import ApiError, api_error
from fleet_operator.kube.resources import RESOURCES

Object = dict[str, Any]
Observer = Callable[[str, str, int, float], None]
"""Told of each request: verb, kind, HTTP status (0: no answer), seconds."""

TIMEOUT_SECONDS = 30
PAGE = 500

_TYPES = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}


class Api:
    """The API server. An async context manager.

    Args:
        configuration: From `configuration.load_configuration`.
        manager: Field manager of what is written.
        observer: Told of every request.
    """

    def __init__(self, configuration: client.Configuration, manager: str, observer: Observer = lambda *_: None) -> None:
        self._configuration = configuration
        self._client = client.ApiClient(configuration)
        self._manager = manager
        self._observer = observer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """One object, None where there is none."""
        try:
            return await self._request("get", kind, namespace, name)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def find(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """As `get`, for who may only list."""
        async for each in self.list(kind, namespace, fieldSelector=f"metadata.name={name}"):
            return each
        return None

    async def list(
        self, kind: str, namespace: str | None, *, metadata_only: bool = False, **query: str
    ) -> AsyncIterator[Object]:
        """Objects of a kind, page by page.

        Args:
            kind: Of `RESOURCES`.
            namespace: One, or None for all.
            metadata_only: Whether labels, owners and versions are enough.
            query: `labelSelector`, `fieldSelector`.
        """
        after: str | None = None
        while after != "":
            page = {**query, "limit": str(PAGE), **({"continue": after} if after else {})}
            answer = await self._request("list", kind, namespace, query=page, metadata_only=metadata_only)
            for each in answer.get("items") or ():
                yield each
            after = (answer.get("metadata") or {}).get("continue") or ""

    async def apply(self, body: Object) -> Object:
        """Server-side apply: the fields in `body` are ours, whoever had them. Returns the object."""
        meta = body["metadata"]
        query = {"fieldManager": self._manager, "force": "true"}
        return await self._request("apply", body["kind"], meta["namespace"], meta["name"], query=query, body=body)

    async def patch(
        self, kind: str, namespace: str, name: str, body: Object, *, subresource: str | None = None
    ) -> Object:
        """Merge patch: `None` removes a field. Returns the object."""
        query = {"fieldManager": self._manager}
        return await self._request("patch", kind, namespace, name, subresource=subresource, query=query, body=body)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete this object, and not another one that has taken its name; it is no error where it is gone."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("delete", kind, namespace, name, body=body)
        except ApiError as error:
            if error.code != 404:
                raise

    async def create(self, body: Object) -> Object:
        """A new object."""
        namespace = body.get("metadata", {}).get("namespace")
        return await self._request("create", body["kind"], namespace, query={"fieldManager": self._manager}, body=body)

    async def allowed(
        self, verb: str, kind: str, namespace: str | None, *, subresource: str = "", name: str = ""
    ) -> bool:
        """Whether RBAC lets us."""
        resource = RESOURCES[kind]
        attributes = {
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": namespace or "",
            "name": name,
        }
        review = RESOURCES["SelfSubjectAccessReview"]
        body = {
            "apiVersion": review.api_version,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._request("create", "SelfSubjectAccessReview", None, body=body)
        return bool((answer.get("status") or {}).get("allowed"))

    async def serves(self, kind: str) -> bool:
        """Whether the cluster has a kind, in the version that we speak."""
        resource = RESOURCES[kind]
        try:
            answer = await self._send("get", kind, f"/apis/{resource.api_version}", None, "", "")
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return any(each["name"] == resource.plural for each in answer.get("resources") or ())

    async def _request(
        self,
        verb: str,
        kind: str,
        namespace: str | None,
        name: str | None = None,
        *,
        subresource: str | None = None,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        metadata_only: bool = False,
    ) -> Object:
        path = RESOURCES[kind].path(namespace, name, subresource)
        if query:
            path += "?" + urlencode(query)
        what = " ".join(filter(None, (verb, kind, name and f"{name}{'/' + subresource if subresource else ''}")))
        accept = (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" if metadata_only else "application/json"
        )
        return await self._send(verb, kind, path, body, what, accept)

    async def _send(self, verb: str, kind: str, path: str, body: Object | None, what: str, accept: str) -> Object:
        method = {"get": "GET", "list": "GET", "delete": "DELETE", "create": "POST"}.get(verb, "PATCH")
        content = _TYPES["apply" if verb == "apply" else "merge"] if method == "PATCH" else "application/json"
        headers = {"Accept": accept or "application/json", "Content-Type": content, "User-Agent": self._manager}
        queries: list[tuple[str, str]] = []
        await self._client.update_params_for_auth(headers, queries, ["BearerToken"], path, method, body)
        begin, code = time.monotonic(), 0
        try:
            response = await self._client.call_api(
                method, self._configuration.host + path, headers, body, _request_timeout=TIMEOUT_SECONDS
            )
            text = await response.read()
            code = response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(
                0, "NoAnswer", f"the API server does not answer: {str(error) or type(error).__name__}", what
            ) from error
        except client.ApiException as error:
            code = int(error.status or 0)
            raise api_error(code, error.body, what, (error.headers or {}).get("Retry-After")) from error
        finally:
            self._observer(verb, kind, code, time.monotonic() - begin)
        if code >= 300:
            raise api_error(code, text, what, response.headers.get("Retry-After"))
        answer: Object = json.loads(text) if text else {}
        return answer
