import os
from pathlib import Path

import pytest

from fleet_operator.local import devices
from fleet_operator.local.devices import DriverError, visible_gpus


def driver(folder: Path, script: str) -> dict[str, str]:
    """An environment in which nvidia-smi is a shell script."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(("value", "names"), [("2,3", ("2", "3")), ("", ()), ("-1", ())])
def test_the_shell_may_limit_the_gpus(value: str, names: tuple[str, ...]) -> None:
    assert visible_gpus({**os.environ, "CUDA_VISIBLE_DEVICES": value}) == names


def test_no_nvidia_smi_is_no_gpu(tmp_path: Path) -> None:
    assert visible_gpus({"PATH": str(tmp_path)}) == ()


def test_the_driver_names_the_gpus(tmp_path: Path) -> None:
    assert visible_gpus(driver(tmp_path, "printf '0\\n1\\n'")) == ("0", "1")


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("echo 'could not reach the driver'; exit 9", "nvidia-smi fails: could not reach the driver"),
        ("echo 'no such library' >&2; exit 12", "nvidia-smi fails: no such library"),
        ("exit 3", "nvidia-smi fails: exit code 3"),
    ],
)
def test_a_driver_that_fails_is_not_taken_for_no_gpu(tmp_path: Path, script: str, line: str) -> None:
    with pytest.raises(DriverError) as failed:
        visible_gpus(driver(tmp_path, script))
    assert str(failed.value) == line


def test_nor_is_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SECONDS", 0.2)
    with pytest.raises(DriverError, match="does not answer within"):
        visible_gpus(driver(tmp_path, "exec /bin/sleep 1000"))
