"""Which CPUs and GPUs of this machine each replica gets, as a node's device and CPU managers would give them."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence

from fleet_operator.local.claims import Claims


def exclusive_cpus(visible: Iterable[int], replicas: int, each: int, claims: Claims) -> list[frozenset[int]] | None:
    """Disjoint CPU sets, one a replica, like exclusive cores in a cluster.

    Returns:
        None where the replicas share: one replica that may use all of them, more wanted than there are, or
        another pool has pinned its replicas to some of them.
    """
    cpus = sorted(visible)
    wanted = replicas * each
    if each < 1 or wanted > len(cpus) or each == len(cpus):
        return None
    taken: list[int] = []
    for cpu in cpus:
        if len(taken) == wanted:
            break
        if claims.take("cpu", cpu):
            taken.append(cpu)
    if len(taken) < wanted:
        for cpu in taken:
            claims.give_back("cpu", cpu)
        return None
    return [frozenset(taken[start : start + each]) for start in range(0, wanted, each)]


def gpus_for(devices: Sequence[str], replica: int, each: int) -> str:
    """CUDA_VISIBLE_DEVICES of replica number `replica`: `each` of `devices`, none shared."""
    return ",".join(devices[replica * each : (replica + 1) * each])


def visible_gpus(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them; empty without a driver."""
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(name.strip() for name in listed.split(",") if name.strip() not in ("", "-1"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(answer.stdout.split())
