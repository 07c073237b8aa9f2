"""The definition of EncoderPools on a real API server. No operator runs."""

from collections.abc import Iterator

import pytest
from tests.cluster.control_plane import ControlPlane

from operating.operator_process import Pools


@pytest.fixture(scope="module")
def pools(control_plane: ControlPlane, definition: None) -> Iterator[Pools]:
    """Pools of this module's namespace."""
    name = control_plane.create_namespace("defining")
    yield Pools(control_plane, name)
    control_plane.delete_namespace(name)
