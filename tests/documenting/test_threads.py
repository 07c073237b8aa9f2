"""The worked examples of `docs/threads.md` are what the code computes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from documenting.pages import check_part, page
from fleet_operator.cluster_plan import REPLAN, plan_pool
from fleet_operator.specs.names import PLAN_ANNOTATION
from planning.clusters import TYPE, a_daemon, a_node, shapes_for
from planning.pools import a_pool

GPU_NODE = a_node(
    cpu="191450m", gpus=8, labels={TYPE: "p5.48xlarge", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
)
CPU_NODE = a_node(cpu="15890m", labels={TYPE: "m7i.4xlarge"})


def worked(node: Mapping[str, Any], resources: Mapping[str, Any], daemons: str, others: str = "0") -> str:
    """An example, as the page has it."""
    pool = a_pool(resources=resources)
    (shape,) = shapes_for(pool, [node], [a_daemon(daemons)])
    (row,) = plan_pool(pool, [shape], {shape.name: Decimal(others)}, ()).rows
    assert row.budget is not None
    lines = [f"```\n{row.share.reason}\n```", "", "| variable | value | why |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.value} | {each.reason} |" for each in row.budget.env()]
    lines += ["", f"{row.share.fit} replicas fit on an empty node."]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("GPU node", worked(GPU_NODE, {"gpus": 1}, "1.7")),
        ("CPU node", worked(CPU_NODE, {"gpus": 0, "cpus": 6}, "0.7", "1.5")),
    ],
)
def test_an_example_is_as_computed(part: str, made: str) -> None:
    check_part("threads.md", part, made)


def test_names_are_those_of_the_code() -> None:
    text = page("threads.md")
    for name in (REPLAN, PLAN_ANNOTATION, "encoder_cpu_budget", "encoder_cpu_oversubscription_ratio"):
        assert name in text
