"""No socket, thread, context or warning outlives a client, however it ends."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleet_client import AsyncClient, Client, ClientClosed, image
from scripted import ScriptedEncoder


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_threads_and_descriptors_are_given_back() -> None:
    with ScriptedEncoder() as encoder:
        with Client(encoder.endpoint) as client:  # what pyzmq keeps for the process comes with the first
            client.encode([image(bytes(100_000))])
        before = threading.active_count(), descriptors()
        for _ in range(3):
            with Client([encoder.endpoint, "127.0.0.1:1"]) as client:
                client.encode([image(bytes(100_000))])
        gc.collect()
        assert (threading.active_count(), descriptors()) == before


async def test_so_does_the_asyncio_client() -> None:
    with ScriptedEncoder() as encoder:
        for round_ in range(4):
            async with AsyncClient(encoder.endpoint) as client:
                await client.encode([image(bytes(100_000))])
            if round_ == 0:
                before = threading.active_count(), descriptors()
        gc.collect()
        assert (threading.active_count(), descriptors()) == before


def test_a_forgotten_client_is_closed_by_the_garbage_collector() -> None:
    with ScriptedEncoder() as encoder:
        before = threading.active_count()
        client = Client(encoder.endpoint)
        client.encode([image(b"i")])
        assert threading.active_count() > before
        del client
        gc.collect()
        assert not [each for each in threading.enumerate() if each.name == "fleet_client"]


PROGRAM = """
import pathlib, sys
from fleet_client import Client, image
client = Client(sys.argv[1])
print(len(client.encode([image(b"i"), image(pathlib.Path(sys.argv[2]))])), flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("client.close()", 0),
        ("del client", 0),
        ("sys.exit(3)", 3),
        ("stream = client.stream([image(b'1'), image(b'2')]); next(stream)", 0),
    ],
)
def test_a_program_ends_without_a_warning(end: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    with ScriptedEncoder() as encoder:
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM.format(end=end), encoder.endpoint]
            + [str(tmp_path / "file")],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", code)


def use(client: Client, answer: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        client.encode([image(b"i")])
    except ClientClosed as error:
        answer.put(str(error))
    client.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_told_to_make_its_own() -> None:
    fork = multiprocessing.get_context("fork")
    answer = fork.SimpleQueue()
    with ScriptedEncoder() as encoder, Client(encoder.endpoint) as client:
        child = fork.Process(target=use, args=(client, answer))
        child.start()
        assert "make a client in each process" in answer.get()
        child.join(30)
        assert child.exitcode == 0
        assert len(client.encode([image(b"i")])) == 1
    answer.close()


def test_the_client_imports_neither_torch_nor_the_encoder() -> None:
    program = "import sys, fleet_client; print([m for m in sys.modules if m in ('torch', 'fleet_encoder', 'av')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
