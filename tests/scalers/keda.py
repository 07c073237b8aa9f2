"""KEDA beside a control plane, with the account and the roles that it has in a cluster."""

import shutil
from pathlib import Path
from typing import Self

from tests.cluster import ports
from tests.cluster.control_plane import ControlPlane
from tests.cluster.definitions import define
from tests.cluster.ports import HOST
from tests.cluster.processes import Process, answers
from tests.scalers import external_metrics
from tests.scalers.programs import KedaPrograms

NAMESPACE, ACCOUNT = "keda", "keda-operator"
SERVICE = "keda-metrics-apiserver"


class Keda:
    """KEDA's operator and its metrics adapter, from `with` to its end. Its kinds and rights stay.

    Args:
        control_plane: The cluster.
        programs: What `programs.ensure_keda` gives.
        folder: For logs and keys.
    """

    def __init__(self, control_plane: ControlPlane, programs: KedaPrograms, folder: Path) -> None:
        self._control_plane = control_plane
        self._programs = programs
        self._folder = folder
        self._certificates = folder / "keda-certificates"
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        """Start it; the API server serves its metrics then.

        Raises:
            ControlPlaneError: Something of it ends, or does not come up.
        """
        define(self._control_plane, self._programs.definitions.read_text())
        self._control_plane.kubectl("apply", "-f", str(self._programs.rights))
        self._write_certificates()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.end()
        self._control_plane.kubectl("delete", "apiservice", external_metrics.API_SERVICE, "--ignore-not-found")

    def _write_certificates(self) -> None:
        """KEDA's two programs know each other by one pair."""
        self._certificates.mkdir(parents=True)
        own = self._control_plane.certificate(f"DNS:{SERVICE}.{NAMESPACE}.svc", f"IP:{HOST}")
        shutil.copy(own.certificate, self._certificates / "tls.crt")
        shutil.copy(own.key, self._certificates / "tls.key")
        shutil.copy(self._control_plane.authority, self._certificates / "ca.crt")

    def _start(self) -> None:
        plane = self._control_plane
        health, metrics_service, secure = ports.free(3)
        who = plane.kubeconfig_for_service_account(ACCOUNT, NAMESPACE)
        operator = self._run(
            "keda",
            who,
            str(self._programs.operator),
            f"--cert-dir={self._certificates}",
            f"--health-probe-bind-address={HOST}:{health}",
            f"--metrics-service-bind-address={HOST}:{metrics_service}",
            "--metrics-bind-address=0",
        )
        operator.wait_until(lambda: answers(f"http://{HOST}:{health}/readyz"))
        adapter = self._run(
            "keda-adapter",
            who,
            str(self._programs.adapter),
            f"--cert-dir={self._certificates}",
            f"--tls-cert-file={self._certificates / 'tls.crt'}",
            f"--tls-private-key-file={self._certificates / 'tls.key'}",
            f"--metrics-service-address={HOST}:{metrics_service}",
            f"--bind-address={plane.address}",
            f"--secure-port={secure}",
            "--port=0",
            *(f"--{whose}-kubeconfig={who}" for whose in ("lister", "authentication", "authorization")),
        )
        registered = external_metrics.registration(
            SERVICE, NAMESPACE, plane.address, secure, plane.authority.read_bytes()
        )
        plane.apply(registered)
        adapter.wait_until(lambda: external_metrics.served(plane))

    def _run(self, name: str, kubeconfig: Path, *command: str) -> Process:
        own = {
            "KUBECONFIG": kubeconfig,
            "POD_NAMESPACE": NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
            "WATCH_NAMESPACE": "",
        }
        told = ["env", *(f"{key}={value}" for key, value in own.items())]
        self._processes.append(Process(name, [*told, *command], self._folder / f"{name}.log"))
        return self._processes[-1]
