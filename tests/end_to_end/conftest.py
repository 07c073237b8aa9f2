"""A real cluster for the whole run, with the chart installed, and models on a volume of its nodes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import build
from tests.end_to_end.report import Report
from tests.end_to_end.site import Site
from tests.monitoring.monitoring import Monitoring
from tests.node import programs, sandbox
from tests.node.cluster import NodeCluster
from tests.node.node import Wanted

NODES = (
    Wanted("system", labels={"example.com/role": "system"}),
    # The CPU that is left to everybody is another one in each: together they use all of this machine.
    Wanted("encoders-1", labels={"example.com/role": "encoders"}, gpus=1, shared_cpu=0),
    Wanted("encoders-2", labels={"example.com/role": "encoders"}, gpus=1, shared_cpu=1),
)


CPUS = 2
"""One that a node leaves to everybody, and one for a pod."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real nodes only where they cannot hurt the machine."""
    if sandbox.INSIDE not in os.environ:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="wants namespaces of its own: run `make e2e`"))
        return
    cpus, ours = os.cpu_count() or 1, os.sched_getaffinity(0)
    if cpus < CPUS:
        raise pytest.UsageError(f"nodes of which pods get CPUs of their own want {CPUS} CPUs; this machine has {cpus}")
    # A kubelet sees all CPUs, and would give away those that nobody here may use.
    if len(ours) < cpus or not ours.issuperset(range(CPUS)):
        raise pytest.UsageError(f"nodes want all {cpus} CPUs of this machine, 0 and 1 too; this run has {sorted(ours)}")


REPORT = Report(Path(os.environ.get("E2E_REPORT", "build/e2e.md")))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How long everything took, what it waited for included."""
    if report.when != "teardown" and report.duration > 1:
        REPORT.phase(f"{report.nodeid.rpartition('::')[2]}: {report.when}", report.duration)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The whole report, also where nobody opens the file; not that of an earlier run."""
    if REPORT.phases:
        terminalreporter.write_sep("=", str(REPORT.path))
        terminalreporter.write(REPORT.path.read_text())


@pytest.fixture(scope="session")
def report() -> Report:
    """Where the run says what it found."""
    return REPORT


@pytest.fixture(scope="session")
def cluster() -> Iterator[NodeCluster]:
    """Nodes `system`, `encoders-1` and `encoders-2`, of which the latter say they have a GPU."""
    store, folder = (Path(os.environ[name]) for name in (sandbox.STORE, sandbox.INSIDE))
    with NodeCluster(build.ensure(), programs.ensure(), store, folder, NODES) as started:
        yield started


@pytest.fixture(scope="session")
def models(cluster: NodeCluster) -> Path:
    """Small random models of real architectures, where every node sees them."""
    folder = cluster.folder / "models"
    for family in ("qwen2_5_vl", "qwen2_audio"):
        program = [sys.executable, "-c", "from fleet_cli.main import main; main()"]
        made = [*program, "model", "new", "--family", family, str(folder / family)]
        subprocess.run(made, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def monitoring(cluster: NodeCluster) -> Iterator[Monitoring]:
    """The kinds of the Prometheus operator, and a Prometheus from the start on."""
    with Monitoring(cluster.control_plane, cluster.folder / "monitoring") as started:
        yield started


@pytest.fixture(scope="session")
def site(cluster: NodeCluster, models: Path, monitoring: Monitoring, photos: Path, clips: Path, speech: Path) -> Site:
    """What a user has there."""
    return Site(cluster, models, {"photos": photos, "clips": clips, "speech": speech})
