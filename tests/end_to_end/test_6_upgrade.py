"""The next version of the chart, with another definition; then no chart. Encoders serve all the while."""

import json
from pathlib import Path

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane
from tests.end_to_end.loads import load
from tests.end_to_end.report import Report
from tests.end_to_end.site import WAIT, Site

from charting.chart import CHART, DEFINITION, NAME
from charting.test_installing import HASH, older_chart

pytestmark = pytest.mark.timeout(900)


def uids(site: Site) -> set[str]:
    return {pod["metadata"]["uid"] for pod in site.pods("first")}


def schema(control_plane: ControlPlane) -> str:
    return json.loads(control_plane.kubectl("get", "crd", DEFINITION, "-o", "json"))["metadata"]["annotations"][HASH]


def version(site: Site) -> str:
    (release,) = yaml.safe_load(site.control_plane.helm("list", "-o", "json", namespace=site.release.namespace))
    return release["chart"]


def test_an_upgrade_brings_the_next_definition_and_restarts_no_encoder(
    site: Site, report: Report, tmp_path: Path
) -> None:
    control_plane, release = site.control_plane, site.release
    values = yaml.safe_load(control_plane.helm("get", "values", NAME, "-o", "json", namespace=release.namespace))
    release.chart = older_chart(tmp_path / "older")
    about = release.chart / "Chart.yaml"
    about.write_text(about.read_text().replace("\nversion: 0.1.0\n", "\nversion: 0.0.9\n"))
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    control_plane.kubectl(*apply, input=control_plane.helm("show", "crds", str(release.chart)))
    release.upgrade(**values)
    assert (version(site), schema(control_plane)[:6]) == (f"{NAME}-0.0.9", "older-")
    site.kubectl("rollout", "restart", f"deployment/{NAME}")
    site.kubectl("rollout", "status", f"deployment/{NAME}", WAIT)
    before = uids(site)

    release.chart = CHART
    with load(site, "first") as counted:
        control_plane.kubectl(*apply, input=control_plane.helm("show", "crds", str(CHART)))
        # In place of another version's image: the operator's pod is another one.
        release.upgrade(**values, podAnnotations={"example.com/version": "next"})
        control_plane.helm("test", NAME, namespace=release.namespace)
    report.fault("helm upgrade, with another definition", counted)

    assert (version(site), schema(control_plane)[:6]) != (f"{NAME}-0.0.9", "older-")
    assert uids(site) == before
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0


def test_encoders_serve_on_without_the_chart_and_go_with_their_pool(site: Site, report: Report) -> None:
    before = uids(site)
    with load(site, "first") as counted:
        site.release.uninstall()
        site.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={NAME}", WAIT)
        site.release.install()
        site.settled("first", 2)
    report.fault("helm uninstall and helm install", counted)
    assert uids(site) == before
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0

    site.kubectl("delete", "encp/first", "--wait", WAIT)
    site.kubectl("wait", "--for=delete", "pod", "-l", "encoderfleet.io/pool=first", WAIT)
    assert site.pods("first") == []
