"""Fixtures of all tests that want a real cluster: `control_plane`, `definition`, `namespace`, `nodes`.

The programs are built before the first test, where one of the chosen tests needs them: a build takes longer than any
test may.
"""

import os
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.cluster import build
from tests.cluster import nodes as pretend
from tests.cluster.cache import MissingProgramError, Say
from tests.cluster.control_plane import ControlPlane
from tests.cluster.definitions import define
from tests.cluster.programs import Programs

PROGRAMS = pytest.StashKey[Programs | MissingProgramError]()
LABEL = "encoderfleet.io/test-nodes"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing, with lines in the terminal."""
    if (say := lines_for(session, "control_plane")) is not None:
        try:
            session.config.stash[PROGRAMS] = build.ensure(say)
        except MissingProgramError as error:
            session.config.stash[PROGRAMS] = error


def lines_for(session: pytest.Session, fixture: str) -> Say | None:
    """Where to say what is made for a fixture before the first test; None where none of the tests will use it."""
    wanted = any(fixture in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly:
        return None
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    return terminal.write_line if terminal else print


def built_programs(config: pytest.Config) -> Programs:
    """What was built before the first test. Skips where that was not possible, except in CI."""
    programs = config.stash[PROGRAMS]
    if isinstance(programs, MissingProgramError):
        if os.environ.get("CI"):
            pytest.fail(str(programs), pytrace=False)
        pytest.skip(str(programs))
    return programs


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One real control plane for the whole run. Skips where it cannot be built, except in CI."""
    with ControlPlane(built_programs(request.config), tmp_path_factory.mktemp("control-plane")) as started:
        yield started


@pytest.fixture(scope="session")
def definition(control_plane: ControlPlane) -> None:
    """EncoderPools exist, as `crds/` defines them."""
    define(control_plane)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A new namespace for one test, in which pods can be created at once."""
    name = control_plane.create_namespace()
    yield name
    control_plane.delete_namespace(name)


class Nodes:
    """Makes pretend nodes that go with the test: `nodes(3, cpus=32, gpus=8)`."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._value = uuid.uuid4().hex[:8]
        self._count = 0

    @property
    def selector(self) -> dict[str, str]:
        """Label of all these nodes, and of no others: a `nodeSelector`."""
        return {LABEL: self._value}

    def __call__(self, count: int = 1, *, labels: Mapping[str, str] | None = None, **hardware: Any) -> list[str]:
        """Create `count` nodes, `hardware` as `nodes.node` takes it; their names, when all are ready.

        With the annotation `kwok.CUSTOM` they are never ready by themselves, and nothing is waited for.
        """
        first = self._count
        self._count += count
        names = [f"node-{self._value}-{number}" for number in range(first, self._count)]
        own = dict(labels or {}) | self.selector
        kubeconfig = self._control_plane.kubeconfig
        pretend.create(kubeconfig, [pretend.node(name, labels=own, **hardware) for name in names])
        pretend.wait_until_ready(kubeconfig, f"{LABEL}={self._value}", self._count)
        return names

    def delete(self) -> None:
        """Delete them all."""
        if self._count:
            pretend.delete(self._control_plane.kubeconfig, f"{LABEL}={self._value}")


@pytest.fixture
def nodes(control_plane: ControlPlane) -> Iterator[Nodes]:
    """Makes nodes for one test: `names = nodes(2, cpus=32, gpus=8, taints=[...])`."""
    factory = Nodes(control_plane)
    yield factory
    factory.delete()
