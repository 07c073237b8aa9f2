"""Prometheus scrapes by the monitors of chart and pools, and every panel of every dashboard has an answer."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboards.picture.__main__ import pictures
from dashboards.picture.window import window
from dashboards.queries import Query, queries
from tests.end_to_end.objects import NAMESPACE
from tests.end_to_end.site import CLIENT, Site
from tests.monitoring.monitoring import Monitoring
from tests.node.addresses import CONTROL_PLANE

from documenting.pages import DOCS, REPOSITORY, REWRITE
from operating.operator_process import until
from showing.load import Load
from showing.prometheus import Prometheus

pytestmark = pytest.mark.timeout(900)

SCRAPE_SECONDS = 15
"""Of the pools' monitors."""
MINUTES = 6
"""In a picture."""
DASHBOARDS = REPOSITORY / "charts" / "encoder-fleet" / "dashboards"
LANGUAGE_SERVER = {"app": "language-server"}
CHANGES = {
    # The client's pod, in which nobody listens: the panels of language servers have something to show.
    "consumers": [{"selector": {"matchLabels": LANGUAGE_SERVER}}],
    "admission": {"maxPendingPatches": 8000},
}


@pytest.fixture(scope="module")
def prometheus(site: Site, monitoring: Monitoring, photos: Path, clips: Path) -> Iterator[Prometheus]:
    """It sees good media, bad media, floods, repeats, and callers that leave."""
    site.kubectl("label", "pod", CLIENT, *(f"{key}={value}" for key, value in LANGUAGE_SERVER.items()))
    site.kubectl("patch", "encp/first", "--type=merge", "--patch", json.dumps({"spec": CHANGES}))
    site.settled("first", 2)

    def addresses() -> list[str]:
        return [pod["status"]["podIP"] for pod in site.pods("first")]

    with Load(addresses, photos / "rocket.jpg", clips / "bikes.mp4", CONTROL_PLANE) as load:
        until(lambda: load.failed or load.rounds >= 3)
        assert load.failed == []
        yield monitoring.prometheus


def test_every_pod_is_scraped(site: Site, prometheus: Prometheus) -> None:
    pods = {pod["metadata"]["name"] for pod in [*site.pods("first"), *site.release.pods()]}

    def scraped() -> set[str]:
        return {each["metric"]["pod"] for each in prometheus.ask("up == 1") if "pod" in each["metric"]}

    until(lambda: pods <= scraped(), why=lambda: f"{pods} are to be scraped, and {scraped()} are")


@pytest.mark.parametrize("name", sorted(file.stem for file in DASHBOARDS.glob("*.json")))
def test_every_panel_has_an_answer(prometheus: Prometheus, name: str) -> None:
    asked = queries(json.loads((DASHBOARDS / f"{name}.json").read_text()))

    def empty() -> list[Query]:
        return [each for each in asked if not prometheus.ask(each.expression)]

    until(lambda: not empty(), why=lambda: "\n".join(f"{each.panel}: {each.expression}" for each in empty()))


def test_the_pictures_of_the_docs_can_be_drawn(prometheus: Prometheus) -> None:
    for_docs = bool(os.environ.get(REWRITE))
    folder = DOCS / "pictures" if for_docs else REPOSITORY / "build" / "pictures"
    if for_docs:
        time.sleep(60 * MINUTES)  # else there is little of what the load does

    def empty() -> list[tuple[str, str]]:
        shown = window(time.time(), MINUTES, scrape_interval=SCRAPE_SECONDS)
        drawn = pictures(prometheus.url, folder, shown, {"pool": "first", "namespace": NAMESPACE})
        assert len(drawn) == 4
        return [(name, panel) for name, each in drawn.items() for panel in each.empty]

    until(lambda: not empty(), why=lambda: str(empty()))


def test_every_rule_of_the_chart_is_evaluated(prometheus: Prometheus) -> None:
    until(lambda: prometheus.rules() and all(each["health"] == "ok" for each in prometheus.rules()))
