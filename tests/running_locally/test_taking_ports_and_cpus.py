import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from tests.cluster import ports

from fleet_operator.local.claims import Claims
from fleet_operator.local.devices import gpus_for
from fleet_operator.local.ports import PortBusyError, Ports, choose


@pytest.fixture
def scope() -> str:
    """Claims of a test are not those of whatever else runs on this machine."""
    return f"test-{uuid.uuid4()}"


@pytest.fixture
def claims(scope: str) -> Iterator[Claims]:
    with Claims(scope) as held:
        yield held


def test_a_given_port_counts_up_by_two_a_replica(claims: Claims) -> None:
    first = ports.in_a_row(6)
    assert choose(3, first, claims) == [Ports(first + 2 * i, first + 2 * i + 1) for i in range(3)]


def test_endpoints_are_on_loopback_only() -> None:
    assert Ports(5570, 5571).endpoint == "tcp://127.0.0.1:5570"
    assert Ports(5570, 5571).http_address == "127.0.0.1:5571"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_busy_port_is_named_with_what_to_do(claims: Claims, address: str) -> None:
    first = ports.in_a_row(4)
    with socket.socket() as listener:
        listener.bind((address, first + 3))
        listener.listen()
        with pytest.raises(PortBusyError) as refused:
            choose(2, first, claims)
    assert f"port {first + 3} on 127.0.0.1 is busy" in str(refused.value)
    assert "--port" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_automatic_ports_go_round_busy_ones(claims: Claims) -> None:
    expected = choose(3, None, claims)
    claims.close()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", expected[1].http))
        listener.listen()
        chosen = choose(3, None, claims)
    assert expected[1] not in chosen
    assert [chosen[0], chosen[1]] == [expected[0], expected[2]]


def test_two_pools_started_at_once_get_different_ports(scope: str, claims: Claims) -> None:
    mine = choose(2, None, claims)
    with Claims(scope) as others:
        assert not set(mine) & set(choose(2, None, others))


def test_the_range_ends(claims: Claims) -> None:
    with pytest.raises(PortBusyError, match="65535"):
        choose(2, 65_534, claims)


def test_a_claim_ends_with_its_process(scope: str, claims: Claims) -> None:
    program = (
        f"from fleet_operator.local.claims import Claims; c = Claims({scope!r}); assert c.take('cpu', 3); "
        "print('taken', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        assert not claims.take("cpu", 3)
        other.kill()
    assert claims.take("cpu", 3)
    claims.give_back("cpu", 3)
    assert claims.take("cpu", 3)


@pytest.mark.parametrize(
    ("devices", "replica", "each", "visible"),
    [
        (("0", "1", "2", "3"), 1, 2, "2,3"),
        (("4", "6"), 1, 1, "6"),
        (("0", "1"), 0, 0, ""),
        ((), 1, 0, ""),
    ],
)
def test_gpus_of_a_replica(devices: tuple[str, ...], replica: int, each: int, visible: str) -> None:
    assert gpus_for(devices, replica, each) == visible


def test_a_claim_is_seen_by_others(scope: str, claims: Claims) -> None:
    assert claims.take("cpu", 3)
    assert claims.take("roaming", 12)
    assert claims.of_others("cpu") == frozenset()
    with Claims(scope) as others:
        assert others.of_others("cpu") == {3}
        assert others.of_others("roaming") == {12}
        assert others.of_others("port") == frozenset()
    with Claims(f"{scope}-more") as strangers:
        assert strangers.of_others("cpu") == frozenset()


def test_no_more_files_is_not_taken_for_a_busy_port(scope: str) -> None:
    program = (
        "import resource, sys\nfrom fleet_operator.local.claims import Claims\n"
        "from fleet_operator.local.ports import choose\n"
        f"claims = Claims({scope!r})\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n"
        "try:\n    choose(50, None, claims)\nexcept OSError as error:\n    print(error.strerror)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "Too many open files\n"
