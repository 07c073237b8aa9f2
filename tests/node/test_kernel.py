"""The kernel's settings are as before after each run, and after one that was killed when the next one starts."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.cache import MissingProgramError
from tests.node import kernel

BEFORE = {name: f"{number}\n" for number, name in enumerate(kernel.KEPT)}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A tree like `/proc/sys`."""
    folder = tmp_path / "sys"
    for name, text in {**BEFORE, kernel.BOOT: "one\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def now(settings: Path) -> dict[str, str]:
    return {name: (settings / name).read_text() for name in kernel.KEPT}


def change(settings: Path) -> None:
    for name in kernel.KEPT:
        (settings / name).write_text("99\n")


RUN = """
end_in_order()
try:
    with kernel.kept(saved, settings):
        for name in kernel.KEPT:
            (settings / name).write_text("99\\n")
        print("changed", flush=True)
        while True:
            time.sleep(0.1)  # not for long: a signal just before a sleep is heard of after it
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Changes all settings, and then takes its time."""
IMPORTS = """
import signal, sys, time
from pathlib import Path
from tests.node import kernel
from tests.node.__main__ import end_in_order
saved, settings = map(Path, sys.argv[1:])
"""


@contextmanager
def started(program: str, saved: Path, settings: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the program that has changed all settings."""
    command = [sys.executable, "-c", IMPORTS + program, str(saved), str(settings)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "changed\n"
            yield process
        finally:
            process.kill()


def kill_a_run(saved: Path, settings: Path) -> None:
    """One that could put nothing back."""
    with started(RUN, saved, settings) as run:
        run.kill()
        assert run.wait(60) == -signal.SIGKILL


def test_settings_are_put_back(tmp_path: Path, settings: Path) -> None:
    def interrupted() -> None:
        with kernel.kept(tmp_path / "saved.json", settings):
            change(settings)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert now(settings) == BEFORE
    assert not (tmp_path / "saved.json").exists()


def test_a_run_that_was_killed_is_made_up_for_by_the_next(tmp_path: Path, settings: Path) -> None:
    kill_a_run(tmp_path / "saved.json", settings)
    assert now(settings) != BEFORE
    with kernel.kept(tmp_path / "saved.json", settings):
        assert now(settings) == BEFORE
        change(settings)
    assert now(settings) == BEFORE


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_who_ends_a_run_has_it_put_settings_back(tmp_path: Path, settings: Path, name: str) -> None:
    with started(RUN, tmp_path / "saved.json", settings) as run:
        run.send_signal(getattr(signal, name))
        assert run.wait(60) == 130
    assert now(settings) == BEFORE


def test_a_run_that_shall_outlive_its_terminal_does(tmp_path: Path, settings: Path) -> None:
    with started(f"signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{RUN}", tmp_path / "saved.json", settings) as run:
        run.send_signal(signal.SIGHUP)
        run.terminate()
        assert run.wait(60) == 130
    assert now(settings) == BEFORE


def test_after_a_new_start_of_the_machine_its_own_settings_count(tmp_path: Path, settings: Path) -> None:
    kill_a_run(tmp_path / "saved.json", settings)
    (settings / kernel.BOOT).write_text("two\n")
    with kernel.kept(tmp_path / "saved.json", settings):
        assert set(now(settings).values()) == {"99\n"}


@pytest.mark.parametrize("text", ["", '{"boot": "one'])
def test_settings_that_cannot_be_read_stop_nobody(
    tmp_path: Path, settings: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "saved.json").write_text(text)
    with kernel.kept(tmp_path / "saved.json", settings):
        change(settings)
    assert now(settings) == BEFORE
    assert "saved.json does not say how the kernel was set" in capsys.readouterr().err


def test_a_kernel_without_a_setting_is_taken_as_it_is(tmp_path: Path, settings: Path) -> None:
    (settings / "vm/panic_on_oom").unlink()
    with kernel.kept(tmp_path / "saved.json", settings):
        pass
    assert not (settings / "vm/panic_on_oom").exists()


def test_a_kernel_that_leaves_bridges_alone_is_refused_in_one_line(settings: Path) -> None:
    with pytest.raises(MissingProgramError, match=r"^the kernel lacks br_netfilter.*sudo modprobe br_netfilter$"):
        kernel.check(settings)
    (settings / kernel.BRIDGED).parent.mkdir(parents=True)
    (settings / kernel.BRIDGED).write_text("0\n")
    kernel.check(settings)
