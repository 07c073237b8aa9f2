"""`python -m tests.cluster up`: a cluster for people, of which nothing is left."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import shapes, tools
from tests.cluster.control_plane import ControlPlane
from tests.cluster.programs import find
from tests.running_locally.running_up import is_running


@pytest.fixture
def up(control_plane: ControlPlane, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command; `control_plane` is asked for so that there are programs."""
    command = [sys.executable, "-m", "tests.cluster", "up", "--nodes", "2x32cpu:8gpu", "1x16cpu"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()
    shutil.rmtree(tmp_path)  # a killed one leaves its objects, which are large


def printed_kubeconfig(up: subprocess.Popen[str]) -> Path:
    assert up.stdout is not None
    for line in up.stdout:
        if found := re.match(r"export KUBECONFIG=(\S+) PATH=\S+:\$PATH$", line):
            return Path(found.group(1))
    raise AssertionError("it has ended")


def children(pid: int) -> set[int]:
    """Processes that any thread of `pid` has started."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for each in lists for child in each.read_text().split()}


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_it_gives_nodes_and_leaves_no_process(
    up: subprocess.Popen[str], tmp_path: Path, ending: signal.Signals, code: int
) -> None:
    programs = find()
    assert programs is not None
    kubeconfig = printed_kubeconfig(up)
    nodes = tools.run(programs.kubectl, "get", "nodes", "--no-headers", kubeconfig=kubeconfig, home=tmp_path)
    assert [line.split()[1] for line in nodes.splitlines()] == ["Ready"] * 3
    started = children(up.pid)
    assert len(started) == 5

    up.send_signal(ending)

    assert up.wait(60) == code
    while any(is_running(pid) for pid in started):
        time.sleep(0.05)
    if ending is not signal.SIGKILL:
        assert not kubeconfig.exists()


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("4x32cpu:8gpu", shapes.Shape(4, 32, 8, "256Gi")),
        ("16cpu", shapes.Shape(1, 16, 0, "128Gi")),
        ("2x8cpu:2gpu:1Ti", shapes.Shape(2, 8, 2, "1Ti")),
        ("3x4cpu:64Gi", shapes.Shape(3, 4, 0, "64Gi")),
    ],
)
def test_a_shape_of_nodes_is_a_word(text: str, shape: shapes.Shape) -> None:
    assert shapes.parse(text) == shape


@pytest.mark.parametrize("text", ["", "4x", "32", "8gpu", "2x4cpu:8", "x4cpu", "4cpu:64GB"])
def test_other_words_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="4x32cpu:8gpu"):
        shapes.parse(text)
