"""Threads inside of running pods: they are what was planned, they have cores of their own, and nothing holds them back.

Against it, in the same run, today's way: as many threads as the machine has CPUs, in a pod of one.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.end_to_end.loads import load
from tests.end_to_end.report import Report
from tests.end_to_end.site import WAIT, Site
from tests.end_to_end.threads import POOLS, Inside

from documenting.pages import check_part
from documenting.walk import shape

pytestmark = pytest.mark.timeout(900)

ONE_CPU: dict[str, Any] = {
    "model": {"pvc": {"claimName": "models", "path": "qwen2_5_vl"}},
    "modalities": ["image", "video"],
    "replicas": 1,
    "resources": {"gpus": 0, "cpus": 1, "memory": "4Gi"},
    "scheduling": {"nodeSelector": {"example.com/role": "system"}},
}
"""Spec of a pool with one pod on a node whose CPUs everybody shares: the pod's one CPU is a limit over time."""
CLIPS = ("bigbuckbunny", "carphone_distorted", "carphone_pristine", "bikes")
CPUS = os.cpu_count() or 1
TODAY = {
    "policy": "Manual",
    **dict.fromkeys(("preprocessWorkers", "videoDecodeThreads", "ffmpegThreads", "intraOpThreads"), CPUS),
}


@pytest.fixture
def one_cpu(site: Site) -> Iterator[str]:
    """Name of that pool, which is to be applied."""
    yield "one-cpu"
    site.kubectl("delete", "encp", "one-cpu", "--ignore-not-found", "--wait")
    site.kubectl("wait", "--for=delete", "pod", "-l", "encoderfleet.io/pool=one-cpu", WAIT)


def plan(site: Site, pool: str) -> dict[str, str]:
    """Thread variables by the pool's status."""
    (row,) = (row for row in site.get("encp", pool)["status"]["threadPlan"] if row["deployment"])
    return {each["name"]: each["value"] for each in row["env"]}


def under_load(site: Site, pool: str) -> list[Inside]:
    """Each pod of the pool, while photos and videos are encoded."""
    inside = [Inside(site, pod) for pod in site.pods(pool)]
    with load(site, pool):
        for each in inside:
            each.start()
        # At once: each pod gets some of them.
        site.encode(*(f"clips/{name}.mp4" for name in CLIPS), pool=pool)
        for each in inside:
            each.stop()
    return inside


def test_variables_are_those_of_the_plan(site: Site) -> None:
    planned = plan(site, "first")
    assert int(planned["ENCODERFLEET_CPUS"]) == CPUS - 1, "all but the one that the kubelet leaves to everybody"
    for pod in site.pods("first"):
        variables = Inside(site, pod).variables
        assert {name: variables.get(name) for name in planned} == planned


def test_threads_are_those_of_the_plan_on_cores_of_their_own(site: Site, report: Report) -> None:
    planned = plan(site, "first")
    pods = under_load(site, "first")
    for each in pods:
        report.threads("planned, cores of its own", each)

    assert len(pods) == 2
    for each in pods:
        assert len(each.cores) == int(planned["ENCODERFLEET_CPUS"])
        node = each.pod["spec"]["nodeName"]
        others = site.control_plane.kubectl("get", "pods", "-A", "-o", "json", f"--field-selector=spec.nodeName={node}")
        assert others.count('"kind": "Pod"') == 1, "nobody else is there that could have the core"
        for pool, variable in POOLS.items():
            # All of them on a machine of two CPUs. On a larger one, this load may not want all.
            assert 0 < each.busy[pool] <= int(planned[variable]), each.busy
        assert each.busy["FFmpeg"] == 0, "its threads are the decoders' own"
        assert each.throttled == 0


def test_a_limit_over_time_is_kept_too_where_todays_way_is_throttled(site: Site, report: Report, one_cpu: str) -> None:
    def throttled(name: str, spec: dict[str, Any], tries: int = 1) -> Inside:
        site.apply_pool(one_cpu, spec)
        site.settled(one_cpu, 1)
        for _ in range(tries):
            (inside,) = under_load(site, one_cpu)
            if inside.throttled:
                break
        report.threads(name, inside)
        return inside

    ours = throttled("planned, limit over time", ONE_CPU)
    # A machine that others use too has no CPU to spare in which it would be held back.
    theirs = throttled("a thread for each CPU of the machine, limit over time", {**ONE_CPU, "threads": TODAY}, tries=3)

    assert theirs.variables["SGLANG_ENCODER_PREPROC_WORKERS"] == str(CPUS)
    assert theirs.throttled > 0
    assert ours.throttled / ours.periods < theirs.throttled / theirs.periods


def test_the_page_has_what_was_counted(report: Report) -> None:
    assert len(report.insides) == 4
    check_part("threads.md", "counted", report.table_of_threads(), shape)
