"""A number of replicas that a file has had is handed to the autoscaler, by the commands of `docs/autoscaling.md`."""

import json
from pathlib import Path
from typing import Any

from operating.operator_process import Pools


def a_file(folder: Path, name: str, **spec: Any) -> str:
    """A pool as a file."""
    pool = {
        "apiVersion": "encoderfleet.io/v1alpha1",
        "kind": "EncoderPool",
        "metadata": {"name": name},
        "spec": {"model": {"path": "/models/vl"}, **spec},
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(pool))
    return str(path)


def replicas(pools: Pools, name: str) -> int:
    return int(pools.get("encp", name)["spec"]["replicas"])


def test_a_number_that_just_leaves_a_file_becomes_the_default(pools: Pools, tmp_path: Path) -> None:
    """Why the number has to be handed over at all."""
    for flags in ([], ["--server-side"]):
        name = "-".join(["lost", *(flag.strip("-") for flag in flags)])
        pools.kubectl("apply", *flags, "-f", a_file(tmp_path, name, replicas=8))
        assert replicas(pools, name) == 8
        pools.kubectl("apply", *flags, "-f", a_file(tmp_path, name))
        assert replicas(pools, name) == 1


def test_a_number_is_handed_over(pools: Pools, tmp_path: Path) -> None:
    pools.kubectl("apply", "-f", a_file(tmp_path, "handed", replicas=8))
    file = a_file(tmp_path, "handed", autoscaling={"mode": "Auto"})
    pools.kubectl("apply", "set-last-applied", "-f", file)
    pools.kubectl("apply", "-f", file)
    assert replicas(pools, "handed") == 8
    assert pools.get("encp", "handed")["spec"]["autoscaling"]["mode"] == "Auto"
    pools.kubectl("scale", "encp/handed", "--replicas=5")
    pools.kubectl("apply", "-f", file)
    assert replicas(pools, "handed") == 5


def test_a_number_is_handed_over_by_server_side_apply(pools: Pools, tmp_path: Path) -> None:
    pools.kubectl("apply", "--server-side", "-f", a_file(tmp_path, "served", replicas=8))
    number = {
        "apiVersion": "encoderfleet.io/v1alpha1",
        "kind": "EncoderPool",
        "metadata": {"name": "served"},
        "spec": {"replicas": 8},
    }
    pools.kubectl("apply", "--server-side", "--field-manager=handover", "-f", "-", input=json.dumps(number))
    file = a_file(tmp_path, "served", autoscaling={"mode": "Auto"})
    pools.kubectl("apply", "--server-side", "-f", file)
    assert replicas(pools, "served") == 8
    pools.kubectl("scale", "encp/served", "--replicas=5")
    pools.kubectl("apply", "--server-side", "-f", file)
    assert replicas(pools, "served") == 5
