"""What the operator exports: promtool finds no fault with it, and a pool's conditions are those of its status."""

import subprocess

from prometheus_client import generate_latest

from documenting.test_operate import everything
from fleet_operator.metrics import PoolSeries
from fleet_operator.observed.mirror import Key

KEY = Key("media", "vision")


def conditions(series: PoolSeries) -> dict[tuple[str, str], float]:
    """What is told of the conditions of pools: by condition and reason."""
    return {
        (sample.labels["condition"], sample.labels["reason"]): sample.value
        for family in series.collect()
        for sample in family.samples
        if sample.name == "encoderfleet_pool_condition"
    }


def test_promtool_finds_nothing_to_complain_about() -> None:
    text = generate_latest(everything().registry)
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_conditions_are_those_of_the_status_now() -> None:
    series = PoolSeries()
    ready = {"type": "Ready", "status": "False", "reason": "ImagePull"}
    unknown = {"type": "ScalingActive", "status": "Unknown", "reason": "NoDecisionYet"}
    series.tell(KEY, [ready, unknown])
    assert conditions(series) == {("Ready", "ImagePull"): 0, ("ScalingActive", "NoDecisionYet"): -1}
    series.tell(KEY, [{**ready, "status": "True", "reason": "Ready"}])
    assert conditions(series) == {("Ready", "Ready"): 1}
    series.forget(KEY)
    assert conditions(series) == {}
