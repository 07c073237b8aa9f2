"""A Prometheus that scrapes by the monitors in a cluster, and evaluates the rules there."""

import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.control_plane import ControlPlane
from tests.cluster.tools import CommandFailedError
from tests.monitoring.discovery import from_files, groups
from tests.monitoring.operator import PrometheusOperator

from showing.prometheus import Prometheus

LOOK_SECONDS = 3.0


class Monitoring:
    """Started by `with`, beside the control plane. The kinds of the Prometheus operator are known from then on.

    What changes in the cluster, monitors, rules and pods, is taken over every few seconds, as the Prometheus of a pod
    would have it by a container beside it and by its own discovery.

    Args:
        control_plane: Of the cluster; from where it is, pods can be reached.
        folder: For everything; it is made.

    Attributes:
        prometheus: To ask.
    """

    prometheus: Prometheus

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        folder.mkdir()
        self._control_plane = control_plane
        self._folder = folder
        self._operator = PrometheusOperator(control_plane, folder)
        self._taken: tuple[dict[str, Any], dict[Path, str]] = ({}, {})
        self._end = threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._operator.start()
            self._look_at_pods()
            self._taken = self._wanted()
            self.prometheus = Prometheus(self._taken[0], self._folder).__enter__()
        except BaseException:
            self._operator.end()
            raise
        self._follower.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._follower.join()
        self.prometheus.__exit__()
        self._operator.end()

    def _follow(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            try:
                self._look_at_pods()
                now = self._wanted()
            except CommandFailedError:  # the API server is away, which is a test's will
                continue
            if now != self._taken:
                self.prometheus.reload(now[0])
                self._taken = now

    def _wanted(self) -> tuple[dict[str, Any], dict[Path, str]]:
        rules = self._operator.rules()
        for path, text in rules.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return from_files(self._operator.configuration(), self._folder), rules

    def _look_at_pods(self) -> None:
        found = json.loads(self._control_plane.kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]
        for namespace in {pod["metadata"]["namespace"] for pod in found}:
            targets = groups(pod for pod in found if pod["metadata"]["namespace"] == namespace)
            unfinished = self._folder / f"{namespace}.unfinished"
            unfinished.write_text(json.dumps(targets))
            unfinished.rename(self._folder / f"{namespace}.json")
