"""Every file of `examples/` is taken as it is, by each way that kubectl has."""

from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane

from fleet_operator.api import load_pool
from operating.operator_process import Pools

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_is_applied_as_it_is(pools: Pools, path: Path) -> None:
    name = load_pool(path).metadata.name
    for flags in (["--dry-run=server"], ["--server-side", "--dry-run=server"], [], ["--server-side"]):
        done = pools.kubectl("apply", "-f", str(path), *flags)
        assert done.startswith(f"encoderpool.encoderfleet.io/{name} ")
    there = pools.get("encp", name)
    assert there is not None
    assert there["metadata"]["generation"] == 1, "the ways of kubectl differ in what they make of it"
    pools.kubectl("delete", "encp", name)


def test_all_of_them_at_once(control_plane: ControlPlane, pools: Pools) -> None:
    done = pools.kubectl("apply", "-f", str(EXAMPLES[0].parent))
    assert len(done.splitlines()) == len(EXAMPLES)
    pools.kubectl("delete", "-f", str(EXAMPLES[0].parent))
