import uuid
from collections.abc import Iterator, Sequence

import pytest

from fleet_operator.local.claims import Claims
from fleet_operator.local.cpu_sets import Core, divide, exclusive_cpus
from fleet_operator.local.placing import place_here
from fleet_operator.plan import NodeShape, plan
from planning.pools import a_pool


@pytest.fixture
def scope() -> str:
    """Claims of a test are not those of whatever else runs on this machine."""
    return f"test-{uuid.uuid4()}"


@pytest.fixture
def claims(scope: str) -> Iterator[Claims]:
    with Claims(scope) as held:
        yield held


def single(*cpus: int) -> list[Core]:
    """Cores of one thread each."""
    return [frozenset({cpu}) for cpu in cpus]


def paired(*numbers: int, count: int = 4) -> list[Core]:
    """Cores of two threads, numbered as on most servers: CPU n and CPU n + count are one core."""
    return [frozenset({number, number + count}) for number in numbers]


@pytest.mark.parametrize(
    ("cores", "taken", "replicas", "each", "sets"),
    [
        (single(0, 1), [], 2, 1, [{0}, {1}]),
        (single(4, 5, 6, 7, 9), [], 2, 2, [{4, 5}, {6, 7}]),
        (single(4, 5, 6, 7, 9), [5], 2, 2, [{4, 6}, {7, 9}]),
        # Two threads of a core stay together; one thread each means one core each.
        (paired(0, 1, 2, 3), [], 2, 4, [{0, 4, 1, 5}, {2, 6, 3, 7}]),
        (paired(0, 1, 2, 3), [], 4, 2, [{0, 4}, {1, 5}, {2, 6}, {3, 7}]),
        (paired(0, 1, 2, 3), [], 4, 1, [{0}, {1}, {2}, {3}]),
        # An odd count leaves a thread idle rather than share its core ...
        (paired(0, 1, 2, 3), [], 2, 3, [{0, 4, 1}, {2, 6, 3}]),
        # ... as long as there are cores.
        (paired(0, 1, 2), [], 2, 3, [{0, 4, 1}, {2, 6, 5}]),
        (paired(0, 1), [], 4, 1, [{0}, {1}, {4}, {5}]),
        # A core of which another pool has one thread comes last.
        (paired(0, 1, 2), [4], 2, 2, [{1, 5}, {2, 6}]),
        (paired(0, 1), [4], 3, 1, [{1}, {0}, {5}]),
        # More than there are, none.
        (single(0, 1, 2), [], 2, 2, None),
        (paired(0, 1), [4], 2, 2, None),
        (single(0, 1), [], 1, 0, None),
    ],
)
def test_sets_are_disjoint_and_of_whole_cores(
    cores: Sequence[Core], taken: list[int], replicas: int, each: int, sets: list[set[int]] | None
) -> None:
    assert divide(cores, taken, replicas, each) == sets


def test_one_replica_that_may_use_all_is_not_pinned(claims: Claims) -> None:
    assert exclusive_cpus(single(0, 1), 1, 2, claims) is None


def test_two_pools_do_not_pin_to_the_same_cpus(scope: str, claims: Claims) -> None:
    cores = single(0, 1, 2, 3)
    with Claims(scope) as others:
        assert exclusive_cpus(cores, 1, 2, claims) == [{0, 1}]
        assert exclusive_cpus(cores, 1, 2, others) == [{2, 3}]
    with Claims(scope) as others:
        assert exclusive_cpus(cores, 1, 3, others) is None
        assert exclusive_cpus(cores, 2, 1, others) == [{2}, {3}], "what did not suffice was given back"


def test_a_pool_goes_to_the_cores_that_another_leaves(scope: str, claims: Claims) -> None:
    with Claims(scope) as others:
        assert exclusive_cpus(paired(0, 1, 2, 3), 1, 1, claims) == [{0}]
        assert exclusive_cpus(paired(0, 1, 2, 3), 3, 2, others) == [{1, 5}, {2, 6}, {3, 7}]


@pytest.mark.parametrize(
    ("first", "second", "pin", "pinned", "warned"),
    [
        (2, 2, True, True, False),  # each has its own half
        (2, 4, True, False, True),  # the second wants all
        (4, 2, True, True, True),  # the first has all
        (2, 2, False, False, True),  # under a quota no CPU is anybody's
    ],
)
def test_pools_that_share_cpus_are_told(
    scope: str, claims: Claims, first: int, second: int, pin: bool, pinned: bool, warned: bool
) -> None:
    def placed(cpus: int, held: Claims) -> tuple[bool, tuple[str, ...]]:
        the_plan = plan(a_pool(resources={"cpus": cpus}), NodeShape(4, 0))
        placement = place_here(
            the_plan, held, cores=single(0, 1, 2, 3), pin=pin, gpus=(), first_port=None, log_format="text"
        )
        return placement.replicas[0].cpus is not None, placement.warnings

    with Claims(scope) as others:
        assert placed(first, claims) == (pin and first < 4, ())
        was_pinned, warnings = placed(second, others)
    assert was_pinned is pinned
    assert bool(warnings) is warned
    assert all("shares its CPUs with another pool" in warning for warning in warnings)
