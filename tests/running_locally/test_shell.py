"""What the shell's variables are to a replica of `up`: those that the plan does not set hold, the others are named."""

from pathlib import Path

import pytest
from tests.running_locally.running_up import Up, pool_with_model

from fleet_encoder.options import encoder_options
from fleet_operator.local.placing import place
from fleet_operator.local.ports import Ports
from fleet_operator.local.shell import environment, overridden, warnings
from fleet_operator.plan import NodeShape, plan
from planning.pools import a_pool

FREE = {"ENCODERFLEET_SGLANG_METRICS", "SGLANG_ENCODER_REQ_TIMEOUT", "SGLANG_ENCODER_SEND_TIMEOUT"}
"""Settings of an encoder that no pool file and no option of `up` has: two replicas may have the same."""


def test_the_shell_cannot_change_what_the_plan_says() -> None:
    shell = {
        "PATH": "/bin",
        "ENCODERFLEET_LOCAL_ROOT": "/",
        "SGLANG_ENCODER_SEND_TIMEOUT": "33",
        "OMP_NUM_THREADS": "9",
    }
    seen = environment(shell, {"ENCODERFLEET_MODEL": "m", "ENCODERFLEET_LOCAL_ROOT": "", "OMP_NUM_THREADS": "1"})
    assert seen == {
        "PATH": "/bin",
        "SGLANG_ENCODER_SEND_TIMEOUT": "33",
        "ENCODERFLEET_MODEL": "m",
        "ENCODERFLEET_LOCAL_ROOT": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def test_what_a_replica_may_have_from_the_shell_is_what_two_of_them_may_share() -> None:
    @encoder_options
    def command() -> None: ...

    known = {option.envvar for option in command.__click_params__}  # type: ignore[attr-defined]
    (replica,) = place(
        plan(a_pool(), NodeShape(4, 0)), ports=[Ports(5570, 5571)], cpus=None, gpus=(), log_format="text"
    )
    assert known - set(replica.env) == FREE


@pytest.mark.parametrize(
    ("shell", "names"),
    [
        ({}, ()),
        ({"PATH": "/bin", "SGLANG_ENCODER_SEND_TIMEOUT": "33"}, ()),
        # As the plan has it, for all replicas or for none.
        ({"OMP_NUM_THREADS": "1", "ENCODERFLEET_LOCAL_ROOT": ""}, ()),
        ({"ENCODERFLEET_CACHE_BYTES": ""}, ()),
        # The plan has read it, and shares it out.
        ({"CUDA_VISIBLE_DEVICES": "4,5"}, ()),
        ({"OMP_NUM_THREADS": "9", "ENCODERFLEET_LOCAL_ROOT": "/"}, ("ENCODERFLEET_LOCAL_ROOT", "OMP_NUM_THREADS")),
        # As the first replica has it, and not as the second.
        ({"ENCODERFLEET_REPLICA": "pool-0"}, ("ENCODERFLEET_REPLICA",)),
    ],
)
def test_what_has_no_effect_is_named(shell: dict[str, str], names: tuple[str, ...]) -> None:
    common = {"OMP_NUM_THREADS": "1", "ENCODERFLEET_LOCAL_ROOT": "", "ENCODERFLEET_CACHE_BYTES": "0"}
    replicas = [
        {**common, "ENCODERFLEET_REPLICA": f"pool-{number}", "CUDA_VISIBLE_DEVICES": str(4 + number)}
        for number in range(2)
    ]
    assert overridden(shell, replicas) == names
    lines = warnings(shell, replicas)
    assert len(lines) == bool(names)
    assert all(", ".join(names) in line for line in lines)


def test_up_passes_on_what_the_plan_does_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGLANG_ENCODER_SEND_TIMEOUT", "33")
    monkeypatch.setenv("ENCODERFLEET_SGLANG_METRICS", "true")
    monkeypatch.setenv("ENCODERFLEET_HTTP", "127.0.0.1:1")
    monkeypatch.setenv("ENCODERFLEET_CACHE_BYTES", "0")
    with Up(pool_with_model(tmp_path), "-o", "json", "--sglang") as up:
        (warning,) = [each for each in up.event("starting")["warnings"] if each.startswith("set in this shell")]
        assert "ENCODERFLEET_CACHE_BYTES, ENCODERFLEET_HTTP" in warning
        assert "SEND_TIMEOUT" not in warning
        for replica in up.event("ready")["replicas"]:
            environ = Path(f"/proc/{replica['pid']}/environ").read_bytes().decode().split("\0")
            assert "SGLANG_ENCODER_SEND_TIMEOUT=33" in environ
            assert "ENCODERFLEET_SGLANG_METRICS=true" in environ
            assert f"ENCODERFLEET_HTTP={replica['http'].removeprefix('http://')}" in environ
        up.ctrl_c()
        assert up.end() == 0
