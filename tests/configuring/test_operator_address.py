"""An operator that cannot serve its /metrics says so in one line."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

KUBECONFIG = {
    "clusters": [{"name": "one", "cluster": {"server": "http://127.0.0.1:9"}}],
    "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    "users": [{"name": "one", "user": {}}],
    "current-context": "one",
}


def start(folder: Path, address: str) -> subprocess.CompletedProcess[str]:
    """An operator that ends at once."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(KUBECONFIG))
    return subprocess.run(
        [sys.executable, "-m", "fleet_operator", "--http", address],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = start(tmp_path, address)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: --http {address}: ")
    assert "in use" in done.stderr
    assert "give another HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"])
def test_what_is_no_address(tmp_path: Path, address: str) -> None:
    done = start(tmp_path, address)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: --http {address}: ")
    assert "Traceback" not in done.stderr
