"""What happens to a pool at night, under load: nobody's request is lost."""

import os
import signal
import time
from collections.abc import Callable

import pytest
from tests.end_to_end.loads import load
from tests.end_to_end.report import Report
from tests.end_to_end.site import WAIT, Site

from documenting.pages import check_part
from documenting.walk import shape


def scale_down(site: Site) -> None:
    site.kubectl("scale", "encp/first", "--replicas=1")
    site.settled("first", 1)


def scale_up(site: Site) -> None:
    site.kubectl("scale", "encp/first", "--replicas=2")
    site.settled("first", 2)


def rollout(site: Site) -> None:
    before = {pod["metadata"]["uid"] for pod in site.pods("first")}
    patch = '{"spec": {"batching": {"maxPatches": 4096}}}'
    site.kubectl("patch", "encp/first", "--type=merge", "--patch", patch)
    site.settled("first", 2)
    assert not before & {pod["metadata"]["uid"] for pod in site.pods("first")}


def delete_pod(site: Site) -> None:
    pod = site.pods("first")[0]["metadata"]["name"]
    site.kubectl("delete", "pod", pod, "--wait")
    site.settled("first", 2)


def kill_container(site: Site) -> None:
    victim = site.pods("first")[0]
    os.kill(site.pid(victim), signal.SIGKILL)
    name = victim["metadata"]["name"]
    site.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", f"pod/{name}", WAIT)
    site.kubectl("wait", "--for=condition=Ready", f"pod/{name}", WAIT)
    site.settled("first", 2)


def drain(site: Site) -> None:
    node = site.pods("first")[0]["spec"]["nodeName"]
    try:
        site.control_plane.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", WAIT)
        site.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "encp/first", WAIT)
    finally:
        site.control_plane.kubectl("uncordon", node)
    site.settled("first", 2)


def restart_operator(site: Site) -> None:
    site.kubectl("rollout", "restart", "deployment/encoder-fleet")
    site.kubectl("rollout", "status", "deployment/encoder-fleet", WAIT)


def restart_api_server(site: Site) -> None:
    site.control_plane.stop_api_server(kill=True)
    time.sleep(5)
    site.control_plane.start_api_server()
    site.kubectl("rollout", "status", "deployment/encoder-fleet", WAIT)
    site.settled("first", 2)


FAULTS: dict[str, Callable[[Site], None]] = {
    "scale-down, 2 to 1": scale_down,
    "scale-up, 1 to 2": scale_up,
    "rollout of a setting": rollout,
    "kubectl delete pod": delete_pod,
    "SIGKILL of a container": kill_container,
    "kubectl drain": drain,
    "operator restart": restart_operator,
    "API server killed, back after 5 s": restart_api_server,
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost(site: Site, report: Report, name: str) -> None:
    with load(site, "first") as counted:
        FAULTS[name](site)
    report.fault(name, counted)

    assert counted.lost == 0, counted.problems
    assert counted.answered > 0


def test_the_page_has_the_table(report: Report) -> None:
    assert [name for name, _ in report.faults] == [*FAULTS]
    check_part("first-pool.md", "faults", report.table_of_faults(), shape)
