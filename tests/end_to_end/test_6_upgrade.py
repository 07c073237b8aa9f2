"""The next version of the chart, with another definition; then no chart. Encoders serve all the while."""

import json
import re
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


def of(chart: Path) -> tuple[str, str]:
    """Version of a chart, and the hash of its definition."""
    (definition,) = chart.glob("crds/*.yaml")
    about, defined = (yaml.safe_load(file.read_text()) for file in (chart / "Chart.yaml", definition))
    return f"{NAME}-{about['version']}", defined["metadata"]["annotations"][HASH]


def installed(site: Site) -> tuple[str, str]:
    """The same of what the cluster has."""
    (release,) = json.loads(site.control_plane.helm("list", "-o", "json", namespace=site.release.namespace))
    defined = json.loads(site.control_plane.kubectl("get", "crd", DEFINITION, "-o", "json"))
    return release["chart"], defined["metadata"]["annotations"][HASH]


def apply_definition(control_plane: ControlPlane, chart: Path) -> None:
    shown = control_plane.helm("show", "crds", str(chart))
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=shown)


def test_an_upgrade_brings_the_next_definition_and_restarts_no_encoder(
    site: Site, report: Report, tmp_path: Path
) -> None:
    control_plane, release = site.control_plane, site.release
    values = yaml.safe_load(control_plane.helm("get", "values", NAME, "-o", "json", namespace=release.namespace))
    older = older_chart(tmp_path / "older")
    about = older / "Chart.yaml"
    about.write_text(re.sub(r"(?m)^version: .*$", "version: 0.0.9", about.read_text()))
    assert of(older) != of(CHART)
    release.chart = older
    try:
        apply_definition(control_plane, older)
        release.upgrade(**values)
    finally:
        release.chart = CHART
    assert installed(site) == of(older)
    site.kubectl("rollout", "restart", f"deployment/{NAME}")
    site.kubectl("rollout", "status", f"deployment/{NAME}", WAIT)
    before = uids(site)

    with load(site, "first") as counted:
        apply_definition(control_plane, CHART)
        # In place of another version's image: the operator's pod is another one.
        release.upgrade(**values, podAnnotations={"example.com/version": "next"})
        control_plane.helm("test", NAME, namespace=release.namespace)
    report.fault("helm upgrade, with another definition", counted)

    assert installed(site) == of(CHART)
    assert uids(site) == before
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0


def test_encoders_serve_on_without_the_chart_and_go_with_their_pool(site: Site, report: Report) -> None:
    before = uids(site)
    with load(site, "first") as counted:
        site.release.uninstall()
        site.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", WAIT)
        site.release.install()
        site.settled("first", 2)
    report.fault("helm uninstall and helm install", counted)
    assert uids(site) == before
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0

    site.kubectl("delete", "encp/first", "--wait", WAIT)
    site.kubectl("wait", "--for=delete", "pod", "-l", "encoderfleet.io/pool=first", WAIT)
    assert site.pods("first") == []
