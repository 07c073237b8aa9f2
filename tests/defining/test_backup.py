"""Pools are kept in a file and made again from it, as `docs/operate.md` has it."""

import re
from pathlib import Path

from fleet_operator.api import load_pool
from operating.operator_process import Pools

SERVER_SET = r"^ +(uid|resourceVersion|creationTimestamp): .*$\n"
EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster-pool.yaml"


def test_what_was_kept_is_made_again(pools: Pools, tmp_path: Path) -> None:
    pools.kubectl("apply", "-f", str(EXAMPLE))
    pools.apply("second", replicas=3)
    pools.kubectl(
        "patch", "encp", "second", "--subresource=status", "--type=merge", "-p", '{"status": {"replicas": 3}}'
    )
    before = {each["metadata"]["name"]: each["spec"] for each in pools.all("encp")}
    kept = tmp_path / "pools.yaml"
    kept.write_text(re.sub(SERVER_SET, "", pools.kubectl("get", "encp", "-o", "yaml"), flags=re.MULTILINE))

    pools.kubectl("delete", "encp", "--all")
    pools.kubectl("apply", "-f", str(kept))
    assert {each["metadata"]["name"]: each["spec"] for each in pools.all("encp")} == before
    assert not any("status" in each for each in pools.all("encp"))
    # Again, over what is there; and the files that they came from, as before.
    pools.kubectl("apply", "-f", str(kept))
    pools.kubectl("apply", "-f", str(EXAMPLE))
    assert {each["metadata"]["name"]: each["spec"] for each in pools.all("encp")} == before


def test_the_page_has_the_command() -> None:
    page = (EXAMPLE.parents[1] / "docs" / "operate.md").read_text()
    assert "sed -E '/^ +(uid|resourceVersion|creationTimestamp): /d'" in page


def test_what_is_printed_of_one_pool_is_a_pool_file(pools: Pools, tmp_path: Path) -> None:
    pools.kubectl("apply", "-f", str(EXAMPLE))
    path = tmp_path / "pool.yaml"
    path.write_text(pools.kubectl("get", "encp", "vision", "-o", "yaml"))
    assert load_pool(path).spec == load_pool(EXAMPLE).spec
