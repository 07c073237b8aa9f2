"""`encoderfleet encode` whose encoder goes away, or whose user stops it: what is done is kept."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from fleet_client.protocol import Encode
from scripted import ScriptedEncoder, echo

PROGRAM = str(Path(sys.executable).with_name("encoderfleet"))


def start(encoder: ScriptedEncoder, folder: Path, *more: str) -> "subprocess.Popen[str]":
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        (folder / name).write_bytes(name.encode())
    return subprocess.Popen(
        [PROGRAM, "encode", "-e", encoder.endpoint, "1.jpg", "2.jpg", "3.jpg", "-o", "json", "--save", "o", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def saved(folder: Path) -> dict[str, bytes]:
    with safe_open(folder / "o", "np") as file:
        return {key: file.get_tensor(key).astype(np.uint8).tobytes() for key in file.keys()}  # noqa: SIM118


@pytest.fixture
def answered() -> threading.Event:
    return threading.Event()


@pytest.fixture
def encoder(answered: threading.Event):
    """Answers for the first two files, not for the third."""

    def script(request: Encode, frames: list[bytes]):
        if frames[0] == b"3.jpg":
            answered.set()
            return []
        return echo(request, frames)

    with ScriptedEncoder(script) as each:
        yield each


def test_ctrl_c_keeps_what_is_done(encoder: ScriptedEncoder, answered: threading.Event, tmp_path: Path) -> None:
    process = start(encoder, tmp_path)
    encoder.wait_for(Encode, 3)
    assert answered.wait(30)
    threading.Event().wait(0.5)  # the two answers are on their way
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert [each["status"] for each in json.loads(out)["items"]] == ["OK", "OK", "CANCELLED"]
    assert saved(tmp_path) == {"0": b"1.jp", "1": b"2.jp"}


def test_an_encoder_that_goes_away_costs_its_own_items(
    encoder: ScriptedEncoder, answered: threading.Event, tmp_path: Path
) -> None:
    process = start(encoder, tmp_path, "--timeout", "3")
    encoder.wait_for(Encode, 3)
    assert answered.wait(30)
    encoder.die()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert [each["status"] for each in json.loads(out)["items"]] == ["OK", "OK", "UNREACHABLE"]
    assert saved(tmp_path) == {"0": b"1.jp", "1": b"2.jp"}
