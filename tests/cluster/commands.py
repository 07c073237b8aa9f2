"""The command lines of the control plane's programs. Pure: paths and ports in, arguments out."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.certificates import Pair
from tests.cluster.kwok import FAKE
from tests.cluster.ports import HOST
from tests.cluster.programs import Programs

QUERIES = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""Controllers hold themselves to 20 requests a second else, and thousands of nodes would take minutes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the programs must agree on.

    Attributes:
        folder: Where data, logs and configuration are.
        authority: Certificate of the authority that signed all others.
        server: Certificate of every server here.
        tokens: Pair that signs tokens of service accounts.
        front_proxy: Who the API server is to API servers behind it.
        kubelet_client: Who it is to kubelets.
            etcd, etcd_peer, api, controllers, scheduler, kwok: Ports.
        address: Where the API server listens; the others do on loopback.
        kubelets: Whether there are real ones, which reach the API server by its address; else KWOK pretends them.
    """

    folder: Path
    authority: Path
    server: Pair
    tokens: Pair
    front_proxy: Pair
    kubelet_client: Pair
    etcd: int
    etcd_peer: int
    api: int
    controllers: int
    scheduler: int
    kwok: int
    address: str = HOST
    kubelets: bool = False

    def kubeconfig(self, name: str) -> Path:
        """Of the component `name`."""
        return self.folder / "kubeconfigs" / f"{name}.json"

    @property
    def audit_log(self) -> Path:
        """What was asked of the API server."""
        return self.folder / "audit.jsonl"

    @property
    def etcd_data(self) -> Path:
        """All objects."""
        return self.folder / "etcd"


def etcd(programs: Programs, layout: Layout) -> list[str]:
    """Etcd with one member."""
    client, peer = (f"http://{HOST}:{port}" for port in (layout.etcd, layout.etcd_peer))
    return [
        str(programs.etcd),
        "--name=one",
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=one={peer}",
        "--unsafe-no-fsync",  # the data is of no worth after a crash of the machine
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
    ]


def api_server(programs: Programs, layout: Layout) -> list[str]:
    """kube-apiserver with the admission plugins and the authorisation of a usual cluster."""
    return [
        str(programs.kube_apiserver),
        f"--etcd-servers=http://{HOST}:{layout.etcd}",
        f"--bind-address={layout.address}",
        f"--secure-port={layout.api}",
        f"--tls-cert-file={layout.server.certificate}",
        f"--tls-private-key-file={layout.server.key}",
        f"--client-ca-file={layout.authority}",
        *(_for_kubelets(layout) if layout.kubelets else _for_nobody()),
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.tokens.certificate}",
        f"--service-account-signing-key-file={layout.tokens.key}",
        # As each cluster has it, for API servers behind this one.
        f"--requestheader-client-ca-file={layout.authority}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={layout.front_proxy.certificate}",
        f"--proxy-client-key-file={layout.front_proxy.key}",
        f"--audit-policy-file={layout.folder / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-mode=blocking",  # written with the answer, not a while later
        "--audit-log-maxsize=4096",
        "--delete-collection-workers=8",
        "--shutdown-watch-termination-grace-period=1s",
        "--profiling=false",
    ]


def _for_nobody() -> list[str]:
    # Else it refuses to be advertised as a loopback address.
    return ["--endpoint-reconciler-type=none"]


def _for_kubelets(layout: Layout) -> list[str]:
    # Pods reach it as the Service `kubernetes`, and it reaches kubelets for logs, exec and port-forward.
    return [
        f"--advertise-address={layout.address}",
        f"--kubelet-client-certificate={layout.kubelet_client.certificate}",
        f"--kubelet-client-key={layout.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager(programs: Programs, layout: Layout) -> list[str]:
    """kube-controller-manager with all its usual controllers."""
    return [
        str(programs.kube_controller_manager),
        *_component(layout, "kube-controller-manager", layout.controllers),
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.tokens.key}",
        f"--root-ca-file={layout.authority}",
        *(_SOONER if layout.kubelets else _PRETENDED),
        *QUERIES,
    ]


# HorizontalPodAutoscalers are looked after every 15 seconds else.
_SOONER = ["--horizontal-pod-autoscaler-sync-period=5s"]
_PRETENDED = [
    # It annotates all nodes anew each time that there are many more of them, for kubelets, of which there are none.
    "--controllers=*,-ttl-controller",
    # KWOK says every ten minutes that its nodes live: no lease of each node every ten seconds.
    "--node-monitor-grace-period=1h",
]


def scheduler(programs: Programs, layout: Layout) -> list[str]:
    """kube-scheduler with its usual plugins."""
    return [
        str(programs.kube_scheduler),
        *_component(layout, "kube-scheduler", layout.scheduler),
        "--leader-elect=false",
        *QUERIES,
    ]


def kwok(programs: Programs, layout: Layout) -> list[str]:
    """KWOK, for nodes with its annotation."""
    ((key, value),) = FAKE.items()
    return [
        str(programs.kwok),
        f"--config={layout.folder / 'kwok.yaml'}",
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--manage-nodes-with-annotation-selector={key}={value}",
        f"--server-address={HOST}:{layout.kwok}",
        "--cidr=10.128.0.0/9",
    ]


def _component(layout: Layout, name: str, port: int) -> list[str]:
    kubeconfig = layout.kubeconfig(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={HOST}",
        f"--secure-port={port}",
        f"--tls-cert-file={layout.server.certificate}",
        f"--tls-private-key-file={layout.server.key}",
        "--profiling=false",
    ]
