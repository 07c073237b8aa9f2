"""No socket, thread, context or warning outlives a client, however it ends."""

import asyncio
import gc
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleet_client import AsyncClient, Cancelled, Client, ClientClosed, image, media
from scripted import ScriptedEncoder, nothing


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
        for each in threading.enumerate():
            if each.name == "fleet_client":
                each.join(30)
                assert not each.is_alive()


def test_closing_ends_a_hello_that_still_waits() -> None:
    client = Client("127.0.0.1:1")
    begun = threading.Event()
    told: list[BaseException] = []

    def greet() -> None:
        begun.set()
        try:
            client.hello(timeout=600)
        except ClientClosed as error:
            told.append(error)

    thread = threading.Thread(target=greet)
    thread.start()
    begun.wait()
    client.close()
    thread.join(30)
    assert [type(each) for each in told] == [ClientClosed]


def test_a_file_that_cannot_be_read_to_its_end_does_not_hold_up_the_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network disk whose server is gone, which no test has: here reading waits until it is told to end."""
    begun, over = threading.Event(), threading.Event()

    def read(path: Path) -> bytes:
        begun.set()
        over.wait(60)
        return path.read_bytes()

    monkeypatch.setattr(media, "read", read)
    file = tmp_path / "file"
    file.write_bytes(b"file")
    outcomes: list[object] = []
    with ScriptedEncoder(nothing) as encoder:
        client = Client(encoder.endpoint)
        thread = threading.Thread(target=lambda: outcomes.extend(client.encode([image(file)], return_errors=True)))
        thread.start()
        assert begun.wait(30)
        client.close()
        thread.join(30)
        assert not over.is_set()
    assert isinstance(outcomes[0], Cancelled)
    reading = [each for each in threading.enumerate() if each.name.startswith("fleet_client-read")]
    assert any(each.is_alive() for each in reading)
    over.set()
    for each in reading:
        each.join(30)


async def test_a_send_that_fails_leaves_no_second_timer() -> None:
    loop = asyncio.get_running_loop()

    def timers() -> int:
        return sum("Engine._decide" in repr(each) and not each.cancelled() for each in loop._scheduled)  # type: ignore[attr-defined]

    for _ in range(10):
        with ScriptedEncoder(nothing) as encoder:
            client = AsyncClient(encoder.endpoint)
            await client.hello()
        call = asyncio.create_task(client.encode([image(b"i")], timeout=60, return_errors=True))  # it just went away
        await asyncio.sleep(0.05)
        assert timers() == 1
        await client.close()
        await call
        await asyncio.sleep(0.01)
        assert timers() == 0


NO_TIMINGS = """
import logging
logging.getLogger("asyncio").addFilter(lambda record: " took " not in record.getMessage())
"""  # the development mode also tells of steps over 0.1 s, which any busy machine has


FEW = """
import os, resource, sys
from fleet_client import Client
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
before = len(os.listdir("/proc/self/fd"))
try:
    Client(f"127.0.0.1:{port}" for port in range(1, 101))
except OSError as error:
    print(error)
with Client("127.0.0.1:1"):
    pass
print(len(os.listdir("/proc/self/fd")) - before)
"""


def test_too_few_descriptors_are_named() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", NO_TIMINGS + FEW], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    message, left = done.stdout.splitlines()
    assert "100 encoders need about 400 file descriptors" in message
    assert "ulimit -n" in message
    assert int(left) <= 2  # what pyzmq keeps for the process


def test_more_encoders_than_libzmq_has_sockets_for_by_itself() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and hard < 4096:
        pytest.skip("may not have so many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    try:
        with ScriptedEncoder() as encoder:
            every = [encoder.endpoint, *(f"127.0.0.1:{port}" for port in range(1, 400))]
            with Client(every) as client:
                assert len(client.encode([image(b"i")])) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
            [sys.executable, "-X", "dev", "-W", "error", "-c", NO_TIMINGS + PROGRAM.format(end=end), encoder.endpoint]
            + [str(tmp_path / "file")],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", code)


IN_A_HANDLER = """
import faulthandler, random, signal
from fleet_client import Client, ClientClosed
faulthandler.dump_traceback_later(50, exit=True)
for _ in range(60):
    client = Client("127.0.0.1:1")
    signal.signal(signal.SIGALRM, lambda *_: client.close())
    signal.setitimer(signal.ITIMER_REAL, 0.001 + random.random() / 100)
    try:
        while True:
            client.encode([])
    except ClientClosed:
        pass
"""


def test_a_signals_handler_may_close_it_wherever_it_interrupts() -> None:
    """Each round is a lot drawn; of 96 such 11 stood still where the handler held what the closing waited for."""
    done = subprocess.run([sys.executable, "-c", IN_A_HANDLER], capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)


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


ALONE = """
import sys

OURS = {"fleet_client", "zmq", "msgspec", "numpy"}


class Others:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in OURS | sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=name)


sys.meta_path.insert(0, Others())
for name in [*sys.modules]:
    if name.partition(".")[0] not in OURS | sys.stdlib_module_names and name != "__main__":
        del sys.modules[name]  # what a .pth file imported
from fleet_client import Client, image
with Client(sys.argv[1]) as client:
    print(client.encode([image(b"i")])[0].embedding.shape)
"""


def test_it_needs_nothing_but_pyzmq_msgspec_and_numpy() -> None:
    with ScriptedEncoder() as encoder:
        done = subprocess.run(
            [sys.executable, "-c", ALONE, encoder.endpoint], capture_output=True, text=True, timeout=60
        )
    assert (done.stdout, done.stderr) == ("(1, 4)\n", "")
