"""The operator and its definition on a real API server.

Each module of tests has a namespace and an operator of its own that serves just that namespace; a test has pools, and
nodes that only its pools may use.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane

from operating.operator_process import OperatorProcess, Pools

StartOperator = Callable[..., OperatorProcess]


@pytest.fixture(scope="module")
def pools(control_plane: ControlPlane, definition: None) -> Iterator[Pools]:
    """Pools of this module's namespace."""
    name = control_plane.create_namespace()
    yield Pools(control_plane, name)
    control_plane.delete_namespace(name)


@pytest.fixture(scope="module")
def operator(
    control_plane: ControlPlane, pools: Pools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """Serves this module's namespace."""
    log = tmp_path_factory.mktemp("operator") / "log"
    process = OperatorProcess(control_plane.kubeconfig, (pools.namespace,), log)
    yield process.wait_until_ready()
    process.kill()


@pytest.fixture
def own_pools(control_plane: ControlPlane, definition: None, namespace: str) -> Pools:
    """Pools of a namespace that is this test's alone, and that no operator serves yet."""
    return Pools(control_plane, namespace)


@pytest.fixture
def start_operator(control_plane: ControlPlane, own_pools: Pools, tmp_path: Path) -> Iterator[StartOperator]:
    """Start operators for `own_pools`' namespace; they end with the test."""
    running: list[OperatorProcess] = []

    def start(kubeconfig: Path | None = None, **environment: str) -> OperatorProcess:
        log = tmp_path / "operator.log"
        namespaces = (own_pools.namespace,)
        running.append(OperatorProcess(kubeconfig or control_plane.kubeconfig, namespaces, log, **environment))
        return running[-1]

    yield start
    for each in running:
        each.kill()
