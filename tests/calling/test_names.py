"""Names that stand for several encoders: how they are read, looked up, and followed."""

import asyncio
import itertools
import logging
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from conftest import EncoderProcess
from fleet_client import AsyncClient, Unreachable, names
from fleet_client.addresses import split
from fleet_client.lookup import look_up
from fleet_client.names import MISSING_LOOKS, Name, Names

NOT_A_NAME = "a" * 64 + ".example"
"""Needs no resolver to be unknown: a label has 63 letters at most."""

MISSING = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
EMPTY = socket.gaierror(getattr(socket, "EAI_NODATA", socket.EAI_NONAME), "No address associated with hostname")
NOBODY_SAYS = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NO_SUCH = "the host is unknown or has no such address"


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("tcp://first.fleet.svc:5570", ("first.fleet.svc", "5570")),
        ("tcp://first.fleet.svc.cluster.local.:5570", ("first.fleet.svc.cluster.local.", "5570")),
        ("tcp://localhost:1", ("localhost", "1")),
        ("tcp://10.0.0.1:5570", None),
        ("tcp://[fd00::1]:5570", None),
        ("tcp://10.0.0.1.example:5570", ("10.0.0.1.example", "5570")),
        ("ipc:///run/encoder.sock", None),
    ],
)
def test_what_has_a_name(endpoint: str, name: tuple[str, str] | None) -> None:
    assert split(endpoint) == name


def test_this_machine_has_one_address_by_its_name() -> None:
    assert look_up("localhost") == ["127.0.0.1"]


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UnicodeError):
        look_up(NOT_A_NAME)


LOOK = """
from fleet_client.lookup import look_up
print(*look_up("localhost"), *look_up("both.example"))
"""


@pytest.mark.parametrize(
    ("address", "found"),
    [("198.51.100.1/24", "192.0.2.1"), ("fd00::2/64", "fd00::9"), ("", "192.0.2.1")],
)
def test_of_both_kinds_the_one_that_the_machine_has(address: str, found: str, tmp_path: Path) -> None:
    """On machines that have nothing but this address and a loopback."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n192.0.2.1 both.example\nfd00::9 both.example\n")
    script = 'mount --bind "$1" /etc/hosts; [ -z "$2" ] || ip address add "$2" dev lo; "$3" -c "$4"'
    assert on_a_machine(script, hosts, address, sys.executable, LOOK) == f"127.0.0.1 {found}\n"


SERVED = """
import socket, struct, sys, threading
from fleet_client.lookup import look_up

OK, FAILED, MISSING = 0, 2, 3
KINDS = {1: bytes([192, 0, 2, 1]), 28: bytes([0xFD, *[0] * 14, 9])}
answers = dict(zip(KINDS, map(int, sys.argv[1:3])))
empty = sys.argv[3:]

def serve():
    while True:
        query, client = server.recvfrom(4096)
        question = query[12 : query.index(0, 12) + 5]
        kind = int.from_bytes(question[-4:-2])
        code, found = answers[kind], b""
        if code == OK and str(kind) not in empty:
            found = struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(KINDS[kind])) + KINDS[kind]
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, bool(found), 0, 0)
        server.sendto(head + question + found, client)

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=serve, daemon=True).start()
try:
    print(*look_up("pool.example."))
except socket.gaierror as error:
    print({socket.EAI_AGAIN: "nobody says"}.get(error.errno, "missing"))
"""


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "empty", "outcome"),
    [
        (0, 0, "", "192.0.2.1"),
        (0, 0, "1", "fd00::9"),
        (0, 2, "", "192.0.2.1"),
        (0, 0, "1 28", "missing"),
        (3, 3, "", "missing"),
        (2, 2, "", "nobody says"),
        (2, 0, "28", "nobody says"),  # as for a Service with IPv4 alone
        (0, 2, "1", "nobody says"),
    ],
)
def test_a_server_that_fails_says_nothing(ipv4: int, ipv6: int, empty: str, outcome: str, tmp_path: Path) -> None:
    """By the code of its answers for each kind of address, and the kinds that are empty."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    script = """
        ip address add 198.51.100.1/24 dev lo
        ip address add fd00::2/64 dev lo nodad
        mount --bind "$1" /etc/resolv.conf
        shift
        exec "$@"
    """
    command = [sys.executable, "-c", SERVED, str(ipv4), str(ipv6), *empty.split()]
    assert on_a_machine(script, tmp_path / "resolv.conf", *command) == f"{outcome}\n"


def on_a_machine(script: str, *arguments: str | Path) -> str:
    """What a script prints as the root of a machine that has a loopback."""
    machine = ["unshare", "--map-root-user", "--net", "--mount"]
    if shutil.which("ip") is None or subprocess.run([*machine, "true"], capture_output=True).returncode:
        pytest.skip("needs network namespaces and iproute2")
    command = [*machine, "sh", "-euc", f"ip link set lo up\n{script}", "sh", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class TestWhatANameStandsFor:
    """Answers in a row, and what is known after them."""

    @pytest.fixture
    def name(self) -> Name:
        return Name("tcp://name:1", "name", "1")

    def test_itself_at_first(self, name: Name) -> None:
        assert (name.addresses, name.known) == (["tcp://name:1"], False)
        assert name.problem == "its name is still being looked up"

    def test_each_of_its_addresses(self, name: Name) -> None:
        name.heard(["10.0.0.1", "fd00::1"], never)
        assert (name.addresses, name.known, name.problem) == (["tcp://10.0.0.1:1", "tcp://[fd00::1]:1"], True, "")

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (MISSING, NO_SUCH),
            (EMPTY, NO_SUCH),
            ([], NO_SUCH),
            (UnicodeError("label too long"), NO_SUCH),
            (NOBODY_SAYS, "its name cannot be looked up: Temporary failure in name resolution"),
            (OSError("no more files"), "its name cannot be looked up: no more files"),
        ],
    )
    def test_why_it_stands_for_itself(self, name: Name, answer: Sequence[str] | Exception, problem: str) -> None:
        name.heard(answer, never)
        assert (name.known, name.problem) == (False, problem)

    @pytest.mark.parametrize(
        ("answers", "kept"),
        [
            ([MISSING] * (MISSING_LOOKS - 1), True),
            ([MISSING] * MISSING_LOOKS, False),
            ([EMPTY] * MISSING_LOOKS, False),
            ([NOBODY_SAYS] * 100, True),
            ([MISSING, MISSING, NOBODY_SAYS, MISSING], False),  # who does not answer says nothing
            ([MISSING, MISSING, ["10.0.0.1"], MISSING, MISSING], True),
            ([MISSING, MISSING, ["fd00::1"]], False),
        ],
    )
    def test_when_it_is_forgotten(self, name: Name, answers: list[Sequence[str] | Exception], kept: bool) -> None:
        name.heard(["10.0.0.1"], never)
        for answer in answers:
            name.heard(answer, never)
        assert (name.addresses == ["tcp://10.0.0.1:1"]) == kept

    def test_not_while_an_encoder_is_connected(self, name: Name) -> None:
        name.heard(["10.0.0.1", "10.0.0.2"], never)
        for _ in range(10):
            name.heard(MISSING, lambda address: address == "tcp://10.0.0.2:1")
        assert name.addresses == ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"]
        name.heard(MISSING, never)
        assert name.addresses == ["tcp://name:1"]

    @pytest.mark.parametrize(
        ("before", "answers", "after"),
        [
            ("10.0.0.1", [["fd00::1"]] * (MISSING_LOOKS - 1), "tcp://10.0.0.1:1"),
            ("10.0.0.1", [["fd00::1"]] * MISSING_LOOKS, "tcp://[fd00::1]:1"),
            ("10.0.0.1", [["fd00::1"], ["fd00::1"], ["10.0.0.1"], ["fd00::1"], ["fd00::1"]], "tcp://10.0.0.1:1"),
            ("10.0.0.1", [["10.0.0.2"]], "tcp://10.0.0.2:1"),
            ("fd00::1", [["fd00::2"]], "tcp://[fd00::2]:1"),
            ("fd00::1", [["10.0.0.1"]], "tcp://10.0.0.1:1"),  # nobody fails to say what is told
        ],
    )
    def test_a_failed_question_for_ipv4_looks_as_if_only_ipv6_were_left(
        self, name: Name, before: str, answers: list[list[str]], after: str
    ) -> None:
        name.heard([before], never)
        for answer in answers:
            name.heard(answer, never)
        assert name.addresses == [after]

    def test_ipv4_stays_while_an_encoder_is_connected(self, name: Name) -> None:
        name.heard(["10.0.0.1", "10.0.0.2"], never)
        for _ in range(10):
            name.heard(["fd00::1"], lambda address: address == "tcp://10.0.0.2:1")
        assert name.addresses == ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"]
        name.heard(["fd00::1"], never)
        assert name.addresses == ["tcp://[fd00::1]:1"]
        name.heard(["fd00::1", "fd00::2"], never)
        assert (name.addresses, name.problem) == (["tcp://[fd00::1]:1", "tcp://[fd00::2]:1"], "")


def never(address: str) -> bool:
    """No encoder is connected."""
    return False


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once."""
    monkeypatch.setattr(names, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(names, "MISSING_SECONDS", 0.01)


Met = tuple[list[str], dict[str, str]]
"""Addresses, and what is wrong with names among them."""


async def told(answers: Sequence[Sequence[str] | Exception], *endpoints: str) -> list[Met]:
    """What is told of endpoints, whose name has these addresses one after the other; what is told twice, once."""
    every = iter(answers)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lookup(host: str) -> Sequence[str]:
        answer = next(every, None)
        if answer is None:
            loop.call_soon_threadsafe(ended.set)
            time.sleep(0.1)
            raise NOBODY_SAYS
        if isinstance(answer, Exception):
            raise answer
        return answer

    met: list[Met] = []

    def tell(addresses: list[str], problems: Mapping[str, str]) -> None:
        if not ended.is_set():
            met.append((addresses, dict(problems)))

    followed = Names(endpoints, tell, never, lookup)
    await asyncio.wait_for(ended.wait(), 30)
    await asyncio.gather(*followed.close(), return_exceptions=True)
    return [each for each, _ in itertools.groupby(met)]


async def test_each_address_is_an_encoder(soon: None) -> None:
    met = await told([["10.0.0.1", "10.0.0.2"]], "tcp://name:5570", "tcp://10.9.9.9:1")
    assert met == [(["tcp://10.0.0.1:5570", "tcp://10.0.0.2:5570", "tcp://10.9.9.9:1"], {})]


async def test_two_names_may_have_an_encoder_in_common(soon: None) -> None:
    met = await told([["10.0.0.1"]] * 2, "tcp://name:1", "tcp://10.0.0.1:1")
    assert met == [(["tcp://10.0.0.1:1"], {})]


async def test_who_comes_and_goes_is_told_and_a_failed_look_changes_nothing(soon: None) -> None:
    met = await told([["10.0.0.1"], NOBODY_SAYS, MISSING, ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]], "tcp://name:1")
    assert [addresses for addresses, _ in met] == [
        ["tcp://10.0.0.1:1"],
        ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"],
        ["tcp://10.0.0.2:1"],
    ]


async def test_a_name_without_an_address_stands_for_itself(soon: None) -> None:
    met = await told([MISSING, NOBODY_SAYS, ["10.0.0.1"]], "tcp://name:1")
    assert met == [
        (["tcp://name:1"], {"tcp://name:1": NO_SUCH}),
        (["tcp://name:1"], {"tcp://name:1": "its name cannot be looked up: Temporary failure in name resolution"}),
        (["tcp://10.0.0.1:1"], {}),
    ]


async def test_a_look_that_fails_is_logged_once_and_not_the_last(soon: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fleet_client"):
        met = await told([RuntimeError("can't start new thread")] * 3 + [["10.0.0.1"]], "tcp://name:1")
    assert met == [(["tcp://10.0.0.1:1"], {})]
    assert [each.getMessage() for each in caplog.records] == ["a look at name failed; there will be others"]
    assert "can't start new thread" in caplog.text


async def test_nor_is_one_after_which_the_telling_fails(soon: None, caplog: pytest.LogCaptureFixture) -> None:
    met: list[list[str]] = []
    enough = asyncio.Event()

    def tell(addresses: list[str], problems: Mapping[str, str]) -> None:
        met.append(addresses)
        if len(met) == 3:
            enough.set()
        raise ValueError("the one who is told stumbles")

    followed = Names(["tcp://name:1"], tell, never, lambda host: ["10.0.0.1"])
    await asyncio.wait_for(enough.wait(), 30)
    await asyncio.gather(*followed.close(), return_exceptions=True)
    assert len(caplog.records) == 1


class Resolver:
    """Hangs at each name but `good`, until it may end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.asked = 0

    def __call__(self, host: str) -> list[str]:
        self.asked += 1
        if host != "good":
            self.may_end.wait(30)
        return ["10.0.0.1"]

    def end(self) -> None:
        self.may_end.set()
        for each in looking():
            each.join(30)


def looking() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "fleet_client-look"]


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.end()


async def test_a_resolver_that_hangs_holds_up_nobody(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the other names, however many are before them, nor the closing."""
    monkeypatch.setattr(names, "PLACE_SECONDS", 0.01)
    found = asyncio.Event()
    met: list[list[str]] = []

    def tell(addresses: list[str], problems: Mapping[str, str]) -> None:
        met.append(addresses)
        found.set()

    hanging = [f"tcp://bad{number}:1" for number in range(3 * names.LOOKS_AT_ONCE)]
    followed = Names([*hanging, "tcp://good:1"], tell, never, resolver)
    await asyncio.wait_for(found.wait(), 30)
    await asyncio.wait_for(asyncio.gather(*followed.close(), return_exceptions=True), 10)
    assert not resolver.may_end.is_set()
    assert met == [[*hanging, "tcp://10.0.0.1:1"]]


async def test_many_names_are_looked_up_in_turn(
    resolver: Resolver, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them again and again; few threads are enough."""
    monkeypatch.setattr(names, "PLACE_SECONDS", 1000.0)
    many = [f"tcp://bad{number}:1" for number in range(10 * names.LOOKS_AT_ONCE)]
    told: list[list[str]] = []
    followed = Names(many, lambda addresses, _: told.append(addresses), never, resolver)
    async with asyncio.timeout(30):
        while resolver.asked < names.LOOKS_AT_ONCE:
            await asyncio.sleep(0.01)
        assert (resolver.asked, len(looking())) == (names.LOOKS_AT_ONCE, names.LOOKS_AT_ONCE)
        resolver.may_end.set()
        while len(told) < 3 * len(many):
            await asyncio.sleep(0.01)
    assert told[-1] == ["tcp://10.0.0.1:1"]
    await asyncio.gather(*followed.close(), return_exceptions=True)


async def test_a_place_is_given_back_once(resolver: Resolver, soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a look that was late ends after all."""
    monkeypatch.setattr(names, "LOOKS_AT_ONCE", 1)
    monkeypatch.setattr(names, "PLACE_SECONDS", 0.01)
    told: list[list[str]] = []
    followed = Names(["tcp://bad1:1", "tcp://bad2:1"], lambda addresses, _: told.append(addresses), never, resolver)
    async with asyncio.timeout(30):
        while resolver.asked < 2:
            await asyncio.sleep(0.01)
        resolver.may_end.set()
        while len(told) < 20:
            await asyncio.sleep(0.01)
    await asyncio.gather(*followed.close(), return_exceptions=True)
    await asyncio.sleep(0)  # what is called back when a place is given back
    assert followed._places._value == 1


HANGING = """
import socket, threading
from fleet_client import Client
looking, never = threading.Event(), threading.Event()
def hang(*args, **options):
    looking.set()
    never.wait()
socket.getaddrinfo = hang
client = Client("name:5570")
looking.wait()
{end}
"""


@pytest.mark.parametrize("end", ["", "client.close()", "del client"])
def test_a_resolver_that_hangs_does_not_keep_the_program_from_ending(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HANGING.format(end=end)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LATE = """
import asyncio, socket, threading
from fleet_client import AsyncClient
looking, may_end = threading.Event(), threading.Event()
def late(*args, **options):
    looking.set()
    may_end.wait()
    raise OSError("late")
socket.getaddrinfo = late
async def main():
    async with AsyncClient("name:5570"):
        await asyncio.to_thread(looking.wait)
asyncio.run(main())
(thread,) = (each for each in threading.enumerate() if each.name == "fleet_client-look")
may_end.set()
thread.join()
"""


def test_an_answer_after_the_end_of_the_loop_is_no_complaint() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", LATE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_a_real_encoder_is_found_by_name(vision_encoder: EncoderProcess) -> None:
    port = vision_encoder.endpoint.rpartition(":")[2]
    async with AsyncClient(f"localhost:{port}") as client:
        (address,) = await client.hello(20)
    assert address == f"tcp://127.0.0.1:{port}"


async def test_an_unknown_name_is_named() -> None:
    async with AsyncClient(f"{NOT_A_NAME}:5570") as client:
        with pytest.raises(Unreachable, match=rf"{NOT_A_NAME}:5570: the host is unknown"):
            await client.hello(3)
