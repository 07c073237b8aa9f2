"""Which CPUs each replica gets for itself, as a node's CPU manager gives exclusive cores."""

from collections.abc import Collection, Sequence

from fleet_operator.local.claims import Claims

Core = frozenset[int]
"""The CPUs, hardware threads, of one core."""


def exclusive_cpus(cores: Sequence[Core], replicas: int, each: int, claims: Claims) -> list[frozenset[int]] | None:
    """Claim disjoint CPU sets, one a replica.

    Args:
        cores: What this process may use.
        replicas: How many sets.
        each: CPUs in a set.
        claims: Where they are held.

    Returns:
        None where the replicas share: one replica that may use all of them, more wanted than there are, or
        another pool has pinned its replicas to some of them.
    """
    every = frozenset[int]().union(*cores)
    if each == len(every):
        return None
    taken = claims.of_others("cpu")
    while (sets := divide(cores, taken, replicas, each)) is not None:
        lost = _claim([cpu for one in sets for cpu in sorted(one)], claims)
        if lost is None:
            return sets
        taken |= {lost}
    return None


def divide(cores: Sequence[Core], taken: Collection[int], replicas: int, each: int) -> list[frozenset[int]] | None:
    """Disjoint sets of `each` CPUs, none of them in `taken`; None where there are too few. Pure.

    Replicas get whole cores first: two threads of one core slow each other down. They share a core only when no
    untouched one is left.
    """
    untouched = [core for core in cores if not core & frozenset(taken)]
    rest = [cpu for core in cores if core not in untouched for cpu in sorted(core) if cpu not in taken]
    if each < 1 or replicas * each > sum(map(len, untouched)) + len(rest):
        return None
    sets = []
    for _ in range(replicas):
        own: list[int] = []
        while len(own) < each:
            need = each - len(own)
            core = next((core for core in untouched if len(core) <= need), None) or next(iter(untouched), None)
            if core is None:
                own += rest[:need]
                del rest[:need]
                continue
            untouched.remove(core)
            own += sorted(core)[:need]
            rest += sorted(core)[need:]
        sets.append(frozenset(own))
    return sets


def _claim(cpus: Sequence[int], claims: Claims) -> int | None:
    """Claim all of `cpus`; else none of them, and returns one that somebody was faster with."""
    for count, cpu in enumerate(cpus):
        if not claims.take("cpu", cpu):
            for claimed in cpus[:count]:
                claims.give_back("cpu", claimed)
            return cpu
    return None
