"""A metrics adapter beside a control plane: external metrics are what a Prometheus says.

It is what prometheus-adapter does in most clusters, with the one rule that docs/autoscaling.md has, built on the same
library.
"""

from pathlib import Path
from typing import Self

from tests.cluster import ports
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import Process
from tests.scalers import external_metrics

NAME, NAMESPACE = "metrics-adapter", "kube-system"


class MetricsAdapter:
    """The cluster's external metrics, from `with` to its end.

    Args:
        control_plane: The cluster.
        program: What `programs.ensure_metrics_adapter` gives.
        prometheus: URL of the Prometheus that it asks.
        folder: For its log.
    """

    def __init__(self, control_plane: ControlPlane, program: Path, prometheus: str, folder: Path) -> None:
        self._control_plane = control_plane
        (port,) = ports.free(1)
        own = control_plane.certificate(f"DNS:{NAME}.{NAMESPACE}.svc")
        authority = control_plane.authority.read_bytes()
        self._objects = [
            *external_metrics.rights(NAME),
            *external_metrics.registration(NAME, NAMESPACE, control_plane.address, port, authority),
        ]
        who = control_plane.kubeconfig_for_user(NAME)
        self._command = [
            str(program),
            f"--prometheus={prometheus}",
            f"--bind-address={control_plane.address}",
            f"--secure-port={port}",
            f"--tls-cert-file={own.certificate}",
            f"--tls-private-key-file={own.key}",
            *(f"--{whose}-kubeconfig={who}" for whose in ("lister", "authentication", "authorization")),
        ]
        self._log = folder / f"{NAME}.log"
        self._process: Process | None = None

    def __enter__(self) -> Self:
        """Start it; the API server serves its metrics then.

        Raises:
            ControlPlaneError: It ends, or does not come up.
        """
        self._control_plane.apply(self._objects)
        self._process = Process(NAME, self._command, self._log)
        try:
            self._process.wait_until(lambda: external_metrics.served(self._control_plane))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.end()
        self._control_plane.kubectl("delete", "apiservice", external_metrics.API_SERVICE, "--ignore-not-found")
