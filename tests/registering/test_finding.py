"""What is known of language servers while nobody can say which they are."""

import json
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane

from fleet_operator.consumers import finding
from fleet_operator.consumers.finding import Finder
from fleet_operator.consumers.servers import Query
from fleet_operator.kube.client import Api
from fleet_operator.kube.configuration import load_configuration


async def test_language_servers_stay_while_their_service_is_away_or_may_not_be_read(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "INTERVAL_SECONDS", 0.1)

    def kubectl(*arguments: str, **options: Any) -> str:
        return control_plane.kubectl(*arguments, namespace=namespace, **options)

    def service(selector: dict[str, str]) -> None:
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "vlm"}}
        spec = {"selector": selector, "ports": [{"port": 30000}]}
        kubectl("apply", "-f", "-", input=json.dumps({**body, "spec": spec}))

    service({"app": "vlm"})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vlm-0", "labels": {"app": "vlm"}}}
    spec = {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "sglang"}]}
    kubectl("apply", "-f", "-", input=json.dumps({**pod, "spec": spec}))
    status = {"status": {"phase": "Running", "podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}}
    kubectl("patch", "pod", "vlm-0", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    query = Query(namespace, "vlm", ())

    async def look(finder: Finder) -> tuple[list[str], str]:
        found = (await finder.look([query]))[query]
        return [each.name for each in found.servers], found.problem

    there = [f"{namespace}/vlm-0"]
    async with Api(await load_configuration(control_plane.kubeconfig), "test") as api:
        finder = Finder(api)
        assert await look(finder) == (there, "")
        kubectl("delete", "service", "vlm")
        assert await look(finder) == (there, f"there is no Service {namespace}/vlm: make it, or correct the name")
        service({})
        found, problem = await look(finder)
        assert (found, "has no selector" in problem) == (there, True)
        service({"app": "vlm"})
        assert await look(finder) == (there, "")
        # The right to look is taken away.
        stranger = await load_configuration(control_plane.kubeconfig_for_user("nobody"))
        async with Api(stranger, "test") as without_rights:
            monkeypatch.setattr(finder, "_api", without_rights)
            found, problem = await look(finder)
            assert (found, "the operator may not" in problem) == (there, True)
        monkeypatch.setattr(finder, "_api", api)
        assert await look(finder) == (there, "")
        kubectl("delete", "pod", "vlm-0", "--now")
        assert await look(finder) == ([], "")
