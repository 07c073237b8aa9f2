"""What is installed without an extra says which one it needs, and still does the rest."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WITHOUT = """
import runpy, sys
_, missing, *sys.argv = sys.argv

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
if sys.argv[0] == "encoderfleet":
    from fleet_cli.main import main
    main()
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


Without = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def without(tmp_path: Path) -> Without:
    """Run a program on which a package is missing, in an empty directory."""

    def run(package: str, *command: str) -> "subprocess.CompletedProcess[str]":
        python = [sys.executable, "-c", WITHOUT, package]
        return subprocess.run(
            [*python, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [
        ("pydantic", "up", "operator"),
        ("pydantic", "plan pool.yaml --cpus 4", "operator"),
        ("torch", "model list", "encoder"),
        ("torch", "model new --family qwen2_vl somewhere", "encoder"),
    ],
)
def test_a_command_names_the_package_and_the_extra(without: Without, package: str, command: str, extra: str) -> None:
    done = without(package, "encoderfleet", *command.split())
    name = command.split()[0]
    assert done.stderr == f"Error: `encoderfleet {name}` needs {package}: pip install '.[{extra}]' in its repository\n"
    assert (done.returncode, done.stdout) == (1, "")


def test_the_help_lists_all_commands_whatever_is_missing(without: Without) -> None:
    done = without("pydantic", "encoderfleet", "--help")
    assert done.returncode == 0
    assert "needs pydantic" in done.stdout
    assert "Encode images, videos and audio" in done.stdout


@pytest.mark.parametrize("package", ["structlog", "torchcodec"])
def test_an_encoder_too(without: Without, package: str) -> None:
    done = without(package, "fleet_encoder", "--model", "./somewhere")
    assert done.returncode != 0
    assert done.stderr.count("\n") <= 4
    if package == "structlog":
        assert done.stderr == "Error: the encoder needs structlog: pip install '.[encoder]' in its repository\n"
    else:  # PyAV decodes where torchcodec is missing
        assert "no model at ./somewhere" in done.stderr
