"""A Prometheus that scrapes by the monitors in a cluster, and evaluates the rules there."""

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.control_plane import ControlPlane
from tests.monitoring.operator import PrometheusOperator

from operating.operator_process import until
from showing.prometheus import Prometheus


class Monitoring:
    """Started by `with`, beside the control plane. The kinds of the Prometheus operator are known from then on.

    Args:
        control_plane: Of the cluster; from where it is, pods can be reached.
        folder: For everything; it is made.

    Attributes:
        prometheus: To ask.
    """

    prometheus: Prometheus

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._operator = PrometheusOperator(control_plane, folder)

    def __enter__(self) -> Self:
        try:
            self._operator.start()
            self.prometheus = Prometheus(self._operator.configuration(), self._folder).__enter__()
        except BaseException:
            self._operator.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.prometheus.__exit__()
        self._operator.end()

    def take(self, *jobs: str) -> None:
        """Wait for monitors, named like `podMonitor/NAMESPACE/NAME`, and let the Prometheus scrape by them.

        In a cluster, a container beside it does so.
        """

        def there() -> bool:
            names = [each["job_name"] for each in self._operator.configuration()["scrape_configs"]]
            return all(any(name.startswith(job) for name in names) for job in jobs)

        until(there)
        self.prometheus.reload(self._operator.configuration())
