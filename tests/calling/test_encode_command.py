"""`encoderfleet encode` as a user types it, at real encoders."""

import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from conftest import EncoderProcess
from fleet_client import Client, image
from peer import unique_jpeg

PROGRAM = str(Path(sys.executable).with_name("encoderfleet"))


def encode(*arguments: str | Path, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, "encode", *map(str, arguments)], capture_output=True, text=True, cwd=folder, timeout=150
    )


def test_a_table_of_all_and_exit_code_1_for_the_bad_one(
    vision_encoder: EncoderProcess,
    audio_encoder: EncoderProcess,
    photos: Path,
    clips: Path,
    speech: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "broken [red].jpg").write_bytes(b"no image")
    (tmp_path / "rocket.jpg").write_bytes(unique_jpeg(photos / "rocket.jpg", 1337))  # no cache has it
    done = encode(
        "--endpoint",
        f"{vision_encoder.endpoint},{audio_encoder.endpoint}",
        tmp_path / "rocket.jpg",
        tmp_path / "broken [red].jpg",
        clips / "carphone_pristine.mp4",
        speech / "Front_Center.wav",
        tmp_path / "missing.png",
        tmp_path / "notes.txt",
        "--frames",
        "4",
    )
    assert (done.returncode, done.stderr) == (1, "")
    head, rocket, broken, clip, voice, missing, notes, summary = done.stdout.splitlines()
    assert head.split()[:8] == ["file", "modality", "status", "tokens", "dim", "grid", "cached", "total"]
    assert "image     OK" in rocket
    assert "forward" in rocket
    assert f"{tmp_path}/broken [red].jpg" in broken
    assert "INVALID" in broken
    assert " 2x" in clip
    assert "audio     OK" in voice
    assert audio_encoder.endpoint.removeprefix("tcp://") in voice
    assert "INVALID" in missing
    assert "INVALID" in notes
    assert "say so with --modality" in notes
    assert "no such file" in missing
    assert summary.startswith("3 encoded")
    assert "3 failed" in summary


def test_json_is_one_object(vision_encoder: EncoderProcess, photos: Path) -> None:
    done = encode("--endpoint", vision_encoder.endpoint, "-o", "json", photos / "coffee.png")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    (item,) = found["items"]
    assert found["failed"] == 0
    assert item["status"] == "OK"
    assert item["meta"]["original_size"] == [600, 400]
    assert item["tokens"] == item["meta"]["tokens"]
    assert found["encoders"][vision_encoder.endpoint]["family"] == "qwen2_5_vl"


def test_saved_embeddings_are_the_clients(vision_encoder: EncoderProcess, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    out = tmp_path / "out.safetensors"
    done = encode("--endpoint", vision_encoder.endpoint, tmp_path / "bad.jpg", photos / "coffee.png", "--save", out)
    assert done.returncode == 1
    assert f"embeddings in {out}" in done.stdout
    with safe_open(out, "np") as file:
        assert [*file.keys()] == ["1"]
        saved = file.get_tensor("1")
        about = json.loads(file.metadata()["1"])
    with Client(vision_encoder.endpoint) as client:
        (expected,) = client.encode([image(photos / "coffee.png")])
        (welcome,) = client.hello().values()
    assert np.array_equal(saved, expected.embedding)
    assert about["fingerprint"] == welcome.fingerprint
    assert about["meta"]["grid"] == list(expected.meta.grid or ())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jpg", "out.safetensors"]


def test_a_full_disk_is_one_line(vision_encoder: EncoderProcess, photos: Path) -> None:
    if not Path("/dev/full").exists() or os.geteuid() != 0:
        pytest.skip("needs a small file system")
    folder = Path("/dev/shm/encoderfleet-test")
    folder.mkdir(exist_ok=True)
    try:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("may not mount")
        done = encode("--endpoint", vision_encoder.endpoint, photos / "coffee.png", "--save", folder / "o.safetensors")
        left = [*folder.iterdir()]
    finally:
        subprocess.run(["umount", folder], capture_output=True)
        folder.rmdir()
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: cannot write {folder}/o.safetensors: ")
    assert done.stderr.count("\n") == 1
    assert left == []


def test_nobody_there_is_one_line(photos: Path) -> None:
    done = encode("--endpoint", "127.0.0.1:1", photos / "coffee.png")
    assert done.returncode == 1
    assert done.stderr == "Error: no encoder answers at tcp://127.0.0.1:1: is it running?\n"


def test_a_wrong_port_is_one_line(photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = encode("--endpoint", f"127.0.0.1:{server.getsockname()[1]}", photos / "coffee.png")
    assert done.returncode == 1
    assert "is it the right port?" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Missing argument 'FILE_OR_URL...'"),
        (("a.jpg",), "Missing option '-e' / '--endpoint'"),
        (("-e", "nonsense", "a.jpg"), "'nonsense' is not an endpoint: write tcp://HOST:5570"),
        (("-e", "h:1", "a.xyz", "b", "https://u:pw@example.com/c?key=1"), "https://example.com/c: is it an image"),
        (("-e", "h:1", "a.jpg", "--fps", "1", "--frames", "2"), "--fps or --frames, not both"),
        (("-e", "h:1", "a.jpg", "--save", "/no/such/dir/x"), "/no/such/dir is not a directory"),
        (("-e", "h:1", "a.jpg", "--timeout", "0"), "'--timeout'"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], text: str) -> None:
    done = encode(*arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "pw@" not in done.stderr
    assert "key=1" not in done.stderr


def on_a_terminal(command: list[str | Path], columns: int, *, stdout: int | None = None) -> tuple[int, bytes, str]:
    """Exit code, what was written to the pipe `stdout` where one is asked for, and what the terminal was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = bytearray()

    def read() -> None:
        try:
            while block := os.read(ours, 4096):
                shown.extend(block)
        except OSError:
            pass  # the terminal's other end was closed

    reader = threading.Thread(target=read)
    reader.start()
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    done = subprocess.run(
        command, stderr=theirs, stdout=stdout or theirs, timeout=150, env=environment | {"TERM": "xterm-256color"}
    )
    os.close(theirs)
    reader.join(30)
    os.close(ours)
    return done.returncode, done.stdout or b"", shown.decode()


def test_progress_shows_on_a_terminal(vision_encoder: EncoderProcess, photos: Path) -> None:
    command = [PROGRAM, "encode", "-e", vision_encoder.endpoint, photos / "coffee.png", "-o", "json"]
    code, out, shown = on_a_terminal(command, 80, stdout=subprocess.PIPE)
    assert code == 0
    assert json.loads(out)["failed"] == 0
    assert "encoding" in shown
    assert "1/1" in shown


def test_a_narrow_terminal_gets_the_details_below_the_table(
    vision_encoder: EncoderProcess, photos: Path, tmp_path: Path
) -> None:
    for name, number in (("first.jpg", 4001), ("second.jpg", 4002)):
        (tmp_path / name).write_bytes(unique_jpeg(photos / "rocket.jpg", number))  # no cache has it
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    files = [tmp_path / name for name in ("first.jpg", "second.jpg", "broken.jpg")]
    command = [PROGRAM, "encode", "-e", vision_encoder.endpoint, *(each.name for each in files)]
    code, _, shown = on_a_terminal(["env", "-C", str(tmp_path), *command], 80)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip() for line in shown.splitlines()]
    head = next(number for number, line in enumerate(lines) if line.startswith("file "))
    table, details = lines[head : head + 4], lines[head + 4 : head + 7]
    assert code == 1
    assert all(len(line) <= 80 for line in table)
    assert [line.split()[0] for line in table] == ["file", "first.jpg", "second.jpg", "broken.jpg"]
    assert [line.split()[0] for line in details] == ["first.jpg:", "second.jpg:", "broken.jpg:"]
    assert "forward" in details[0]
    assert "2 encoded" in lines[head + 7]
