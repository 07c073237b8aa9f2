"""The chart on a real API server of its own.

Helm brings the definition, the operator serves the whole cluster, and other projects' kinds are there: no other test's
cluster shall have that.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import built_programs

from charting.chart import RESTRICTED, Release, only, variables
from charting.kinds import PODMONITORS, PROMETHEUSRULES, SCALEDOBJECTS, SERVICEMONITORS, define
from operating.operator_process import OperatorProcess

MakeRelease = Callable[[], Release]
StartOperator = Callable[[Release], OperatorProcess]


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """In place of the one that all other tests share."""
    with ControlPlane(built_programs(request.config), tmp_path_factory.mktemp("control-plane")) as started:
        define(started, PODMONITORS, SERVICEMONITORS, PROMETHEUSRULES, SCALEDOBJECTS)
        yield started


@pytest.fixture
def make_release(control_plane: ControlPlane) -> Iterator[MakeRelease]:
    """Make releases, each in a new namespace that takes only restricted pods; they go with the test."""
    # Of tests before, whose namespaces may still be going: an operator of the whole cluster would serve them.
    control_plane.kubectl("delete", "encp", "--all", "--all-namespaces", check=False)
    made: list[Release] = []

    def make() -> Release:
        made.append(Release(control_plane, control_plane.create_namespace("operator", RESTRICTED)))
        return made[-1]

    yield make
    for each in made:
        control_plane.helm("uninstall", "encoder-fleet", "--ignore-not-found", namespace=each.namespace)
        control_plane.delete_namespace(each.namespace)


@pytest.fixture
def start_operator(tmp_path: Path) -> Iterator[StartOperator]:
    """Start the operator of a release, as its service account and with the variables of its pod.

    The release's own pod only pretends to run. So this is the operator that it would be.
    """
    running: list[OperatorProcess] = []

    def start(release: Release) -> OperatorProcess:
        told = {"HOSTNAME": release.pods()[0]["metadata"]["name"], **variables(only(release.objects, "Deployment"))}
        process = OperatorProcess(release.kubeconfig(), (), tmp_path / f"operator-{len(running)}.log", **told)
        running.append(process)
        return process

    yield start
    for each in running:
        each.kill()
