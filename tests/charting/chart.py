"""The chart: its files, what it renders, and releases of it."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.cluster import audit, tools
from tests.cluster.control_plane import ControlPlane
from tests.cluster.programs import find_tool

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts" / "encoder-fleet"
NAME = "encoder-fleet"
DEFINITION = "encoderpools.encoderfleet.io"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
"""Labels of a namespace that takes no pod which Pod Security's strictest level does not allow."""

Object = dict[str, Any]


def template(control_plane: ControlPlane, namespace: str, values: Mapping[str, Any], name: str = NAME) -> str:
    """What `helm template` prints, the pod of `helm test` included."""
    flags = ("--values", "-")
    return control_plane.helm("template", name, str(CHART), *flags, namespace=namespace, input=json.dumps(values))


def render(control_plane: ControlPlane, namespace: str = "default", **values: Any) -> list[Object]:
    """The same as objects."""
    return [each for each in yaml.safe_load_all(template(control_plane, namespace, values)) if each]


def only(objects: Iterable[Object], kind: str) -> Object:
    """The one object of a kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def rules(objects: Iterable[Object]) -> list[Object]:
    """Of all roles that are bound to the operator."""
    objects = list(objects)
    bound = {each["roleRef"]["name"] for each in objects if each["kind"].endswith("Binding")}
    roles = [each for each in objects if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in bound]
    return [rule for role in roles for rule in role["rules"]]


def container(deployment: Object) -> Object:
    """Of the operator's pod."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def variables(deployment: Object) -> dict[str, str]:
    """What the operator is told, less what only a pod can know."""
    return {each["name"]: each["value"] for each in container(deployment)["env"] if "value" in each}


class Release:
    """A release of the chart.

    Args:
        control_plane: The cluster.
        namespace: Where.

    Attributes:
        chart: Its folder; another version's may be set.
        user: Whom the API server takes the operator for.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self.chart = CHART
        self.user = f"system:serviceaccount:{namespace}:{NAME}"

    def install(self, **values: Any) -> None:
        """`helm install`, until the operator's pod is ready."""
        self._run("install", values)

    def upgrade(self, **values: Any) -> None:
        """`helm upgrade` to these values and no others."""
        self._run("upgrade", values)

    def uninstall(self) -> None:
        """`helm uninstall`."""
        self.control_plane.helm("uninstall", NAME, "--wait", namespace=self.namespace)

    @property
    def notes(self) -> str:
        """What Helm said after the last of these."""
        return self.control_plane.helm("get", "notes", NAME, namespace=self.namespace)

    @property
    def objects(self) -> list[Object]:
        """What was rendered, without the test."""
        text = self.control_plane.helm("get", "manifest", NAME, namespace=self.namespace)
        return [each for each in yaml.safe_load_all(text) if each]

    def commands(self, start: str) -> list[str]:
        """Lines of the notes that begin so, with what follows on stdin where there is something."""
        return re.findall(rf"^{re.escape(start)}.*?(?:$|<<'EOF'$[\s\S]*?^EOF$)", self.notes, re.MULTILINE)

    def typed(self, command: str) -> str:
        """What a command of the notes prints, typed into a shell."""
        kubectl = f'kubectl() {{ {find_tool("kubectl")} "$@"; }}\n'
        home = self.control_plane.folder / "home"
        return tools.run(
            Path("bash"), "-s", kubeconfig=self.control_plane.kubeconfig, home=home, input=kubectl + command
        )

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in the release's namespace."""
        return self.control_plane.kubectl(*arguments, namespace=self.namespace, **options)

    def pods(self) -> list[Object]:
        """The operator's."""
        selector = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=operator"
        return json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]

    def requests(self) -> list[audit.Event]:
        """What the operator has asked the API server for."""
        return list(audit.events(self.control_plane.audit_log, self.user))

    def kubeconfig(self) -> Path:
        """Of the operator's service account: it may do what the chart lets it, and nothing else."""
        return self.control_plane.kubeconfig_for_service_account(NAME, self.namespace)

    def _run(self, command: str, values: Mapping[str, Any]) -> None:
        flags = ("--values", "-", "--wait", "--timeout", "2m")
        self.control_plane.helm(
            command, NAME, str(self.chart), *flags, namespace=self.namespace, input=json.dumps(values)
        )
