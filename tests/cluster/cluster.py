"""What one does with a cluster: be somebody, run kubectl and helm, have a namespace."""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster import audit, commands, kubeconfigs, kwok, ports, tools
from tests.cluster.certificates import Authority, Pair
from tests.cluster.programs import Programs

ADMIN = "admin"
MASTERS = "system:masters"
SERVICE = "10.96.0.1"
"""The API server inside of the cluster: the first address of its Services."""
NAMES = ("DNS:localhost", "DNS:kubernetes.default.svc")
USERS: dict[str, tuple[str, Sequence[str]]] = {
    ADMIN: ("kubernetes-admin", [MASTERS]),
    "kube-controller-manager": ("system:kube-controller-manager", []),
    "kube-scheduler": ("system:kube-scheduler", []),
    "kwok": ("kwok", [MASTERS]),
}
"""The control plane's own kubeconfigs: user and groups."""


class Cluster:
    """A cluster by its keys and files: who may ask it, and with which programs.

    Args:
        programs: What `build.ensure` gives.
        folder: Where keys, configuration and logs are written.
        address: Where the API server listens.
        kubelets: Whether its nodes are real.

    Raises:
        MissingProgramError: There is no openssl.
    """

    def __init__(self, programs: Programs, folder: Path, *, address: str = ports.HOST, kubelets: bool = False) -> None:
        self.folder = folder
        self._programs = programs
        self._authority = Authority(folder / "certificates")
        self._layout = commands.Layout(
            folder,
            self._authority.certificate,
            self._authority.server(*(f"IP:{each}" for each in (ports.HOST, address, SERVICE)), *NAMES),
            self._authority.client("tokens"),
            self._authority.client("front-proxy"),
            self._authority.client("kube-apiserver", [MASTERS]),
            *ports.free(6),
            address=address,
            kubelets=kubelets,
        )
        self._users: dict[tuple[str, tuple[str, ...]], Path] = {}
        (folder / "home").mkdir()
        audit.write_policy(folder / "audit-policy.yaml")
        kwok.write_configuration(folder / "kwok.yaml", programs.stages.read_text())
        for name, (user, groups) in USERS.items():
            self._write(self._layout.kubeconfig(name), self._authority.client(user, groups))

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self._layout.address}:{self._layout.api}"

    @property
    def address(self) -> str:
        """Where the API server listens, and where it reaches what serves beside it."""
        return self._layout.address

    @property
    def kubeconfig(self) -> Path:
        """Of one who may do everything."""
        return self._layout.kubeconfig(ADMIN)

    @property
    def authority(self) -> Path:
        """Certificate that the API server's is signed by."""
        return self._authority.certificate

    @property
    def audit_log(self) -> Path:
        """JSON lines, one a request; `audit.events` reads them."""
        return self._layout.audit_log

    def kubeconfig_for_user(self, name: str, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig of the user `name`, who may do what RBAC gives that user, and nothing else."""
        if (name, groups) not in self._users:
            path = self._layout.kubeconfig(f"user-{len(self._users)}")
            self._users[name, groups] = self._write(path, self._authority.client(name, groups))
        return self._users[name, groups]

    def kubeconfig_for_service_account(self, name: str, namespace: str) -> Path:
        """A kubeconfig of a service account that exists, by a token as its pods get it; good for a day."""
        token = self.kubectl("create", "token", name, "--duration=24h", namespace=namespace).strip()
        path = self._layout.kubeconfig(f"account-{namespace}-{name}-{uuid.uuid4().hex[:8]}")
        return self._write(path, token, namespace)

    def certificate(self, *names: str) -> Pair:
        """For a server beside the API server, and for asking others of its kind; `names` as `Authority.server` has."""
        return self._authority.peer(*names)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,
        namespace: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """What kubectl writes to stdout; as admin unless a kubeconfig is given.

        Raises:
            CommandFailedError: It failed, and `check` was left on; with its stderr.
        """
        return self._run(self._programs.kubectl, arguments, input, namespace, check, kubeconfig)

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """`kubectl apply` of objects, each in the namespace that it names."""
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def helm(
        self,
        *arguments: str,
        input: str | None = None,
        namespace: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """As `kubectl`, for helm."""
        return self._run(self._programs.helm, arguments, input, namespace, check, kubeconfig)

    def create_namespace(self, prefix: str = "test", labels: dict[str, str] | None = None) -> str:
        """A new namespace with a name of its own, in which pods can be created at once."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        self.kubectl("create", "-f", "-", input=json.dumps(namespace))
        # Pods are refused until the controllers have made the account that they run as.
        self.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=120s", namespace=name)
        return name

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace with all in it, without waiting for its end."""
        self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def _write(self, path: Path, who: Pair | str, namespace: str = "default") -> Path:
        return kubeconfigs.write(path, self.server, self.authority, who, namespace)

    def _run(
        self,
        program: Path,
        arguments: tuple[str, ...],
        input: str | None,
        namespace: str | None,
        check: bool,
        kubeconfig: Path | None,
    ) -> str:
        # After the command: what follows a `--` is somebody else's.
        placed = (*arguments[:1], "--namespace", namespace, *arguments[1:]) if namespace else arguments
        home = self.folder / "home"
        return tools.run(
            program, *placed, kubeconfig=kubeconfig or self.kubeconfig, home=home, input=input, check=check
        )
