"""Files are read beside everything else: who waits hears what became of it, and nobody else waits for a disk."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripted import ScriptedEncoder, ok, welcome

CLIENT = """
import pathlib, resource, sys, threading
from fleet_client import Client, EncodeError, image, media
encoder, file = sys.argv[1], pathlib.Path(sys.argv[2])
"""


def printed(program: str, *arguments: str | Path) -> str:
    """By a process that has ended by itself, without a word of trouble."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT + program, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


TOO_LARGE = """
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
with Client(encoder, timeout=None) as client:
    for each in client.encode([image(file), image(b"i")], return_errors=True):
        print(each if isinstance(each, EncodeError) else each.embedding.shape)
"""


def test_a_file_larger_than_memory_fails_alone_and_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 4 << 30)
    with ScriptedEncoder(greeting=welcome(max_item_bytes=1 << 40)) as encoder:
        assert printed(TOO_LARGE, encoder.endpoint, file) == f"cannot read {file}: MemoryError()\n(1, 4)\n"


HANGING = """
# As of a network disk whose server is gone, which no test has.
media.read = lambda path: threading.Event().wait()
with Client(encoder) as client:
    (outcome,) = client.encode([image(file)], timeout=0.5, return_errors=True)
print(type(outcome).__name__)
"""


def test_a_disk_that_hangs_does_not_hold_up_the_end_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    with ScriptedEncoder() as encoder:
        assert printed(HANGING, encoder.endpoint, tmp_path / "file") == "Expired\n"


ALONE = """
client = Client(encoder, timeout=None)
main = threading.current_thread()
def work():
    main.join()
    with client:
        print(*(each.embedding.shape for each in client.encode([image(file), image(b"i")])))
threading.Thread(target=work).start()
"""


@pytest.mark.parametrize("numbers", [4, 1 << 20])
def test_another_thread_encodes_on_when_the_main_thread_has_ended(tmp_path: Path, numbers: int) -> None:
    (tmp_path / "file").write_bytes(b"file")
    shape = f"(1, {numbers})"
    rows = np.zeros((1, numbers), np.uint16)  # large ones are widened on a thread
    with ScriptedEncoder(lambda request, _: [ok(request.id, rows, dtype="bfloat16")]) as encoder:
        assert printed(ALONE, encoder.endpoint, tmp_path / "file") == f"{shape} {shape}\n"
