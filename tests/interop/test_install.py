"""Where SGLang cannot be installed one line says why, and only a wheel that cannot be got excuses CI."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.interop import install


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has nothing yet, and reaches nobody."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_OFFLINE", "1")


def command() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.interop", "install"], capture_output=True, text=True)


def test_without_network_the_command_says_so_and_succeeds_as_the_tests_will_skip() -> None:
    done = command()
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("interop: its tests will skip: SGLang 0.5.23 cannot be installed: No solution found")
    assert "was not found in the cache" in line
    assert install.find() is None


def test_a_wrong_requirement_is_no_excuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "requirements.txt"
    wrong.write_text("torch=2\n")
    monkeypatch.setattr(install, "REQUIREMENTS", wrong)
    with pytest.raises(install.MissingSGLangError, match="Couldn't parse requirement.*; no such comparison") as caught:
        install.ensure()
    assert not isinstance(caught.value, install.UnobtainableSGLangError)


def test_what_does_not_import_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.txt"
    nothing.touch()
    monkeypatch.setattr(install, "REQUIREMENTS", nothing)
    monkeypatch.setattr(install, "NO_DEPS", nothing)
    with pytest.raises(install.MissingSGLangError, match="ModuleNotFoundError: No module named 'sglang'"):
        install.ensure()
    assert install.find() is None
