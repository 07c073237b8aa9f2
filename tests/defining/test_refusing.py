"""A wrong pool is refused by the API server and by the reader of pool files, and each says where and what to do."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cluster.tools import CommandFailedError

from defining.wrong_pools import TABLE, Wrong
from fleet_cli.plan import command
from operating.operator_process import Pools

CASES = pytest.mark.parametrize("wrong", TABLE, ids=lambda wrong: (wrong.spec or wrong.name)[:60])


@CASES
def test_kubectl_apply_says_where_and_what_to_do(pools: Pools, wrong: Wrong) -> None:
    with pytest.raises(CommandFailedError) as caught:
        pools.kubectl("apply", "-f", "-", input=wrong.text)
    said = str(caught.value)
    assert wrong.field in said
    assert wrong.cluster in said


@CASES
def test_plan_says_where_and_what_to_do(wrong: Wrong, tmp_path: Path) -> None:
    path = tmp_path / "pool.yaml"
    path.write_text(wrong.text)
    answer = CliRunner().invoke(command, [str(path), "--cpus", "4", "--gpus", "0"])
    assert answer.exit_code == 2
    (line,) = answer.output.splitlines()
    assert wrong.field in line
    assert wrong.file in line


def test_a_wrong_name_of_the_kind_or_its_version(pools: Pools) -> None:
    text = TABLE[0].text.replace("1st", "vision")
    for wrong in (text.replace("v1alpha1", "v1"), text.replace("kind: EncoderPool", "kind: EncodePool")):
        with pytest.raises(CommandFailedError, match="no matches for kind"):
            pools.kubectl("apply", "-f", "-", input=wrong)


def test_a_pool_that_was_accepted_stays_so_when_it_is_edited_wrongly(pools: Pools) -> None:
    pools.apply("edited")
    with pytest.raises(CommandFailedError, match=r"spec\.replicas"):
        pools.patch("edited", replicas=-1)
    with pytest.raises(CommandFailedError, match=r"is ignored under policy: Auto"):
        pools.patch("edited", threads={"intraOpThreads": 2})
    assert pools.get("encp", "edited")["metadata"]["generation"] == 1
