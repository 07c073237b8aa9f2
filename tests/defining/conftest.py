"""The definition of EncoderPools on a real API server. No operator runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane

from operating.operator_process import Pools

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def definition(control_plane: ControlPlane) -> None:
    """EncoderPools exist, as `crds/` defines them."""
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd/encoderpools.encoderfleet.io", "--timeout=60s")


@pytest.fixture(scope="module")
def pools(control_plane: ControlPlane, definition: None) -> Iterator[Pools]:
    """Pools of this module's namespace."""
    name = control_plane.create_namespace("defining")
    yield Pools(control_plane, name)
    control_plane.delete_namespace(name)
