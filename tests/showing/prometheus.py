"""A real Prometheus that scrapes what a test has started, and answers queries."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.cluster import ports
from tests.cluster.processes import Process, answers

Sample = dict[str, Any]


class Target(NamedTuple):
    """Something that serves `/metrics`.

    Attributes:
        address: `host:port`.
        labels: What a PodMonitor would add to its series.
    """

    address: str
    labels: Mapping[str, str]


class QueryError(Exception):
    """Prometheus does not take a query; the text is its own."""


def static(targets: Iterable[Target], rules: Path) -> dict[str, Any]:
    """Configuration of a Prometheus that scrapes targets and evaluates a file of rules, both each second.

    Labels of a series stay as they are, as the chart's monitor has it, where a target's own are others.
    """
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": f"job-{number}",
                "honor_labels": "pool" not in target.labels,
                "static_configs": [{"targets": [target.address], "labels": dict(target.labels)}],
            }
            for number, target in enumerate(targets)
        ],
    }


class Prometheus:
    """One server. A context manager.

    Args:
        configuration: As its file has it.
        folder: For its data and its log.

    Attributes:
        url: Of its API.
    """

    def __init__(self, configuration: Mapping[str, Any], folder: Path) -> None:
        self._file = folder / "prometheus.yml"
        self._write(configuration)
        (port,) = ports.free(1)
        self.url = f"http://{ports.HOST}:{port}"
        program = shutil.which("prometheus")
        assert program, "make setup installs Prometheus"
        flags = {
            "config.file": self._file,
            "storage.tsdb.path": folder / "data",
            "web.listen-address": f"{ports.HOST}:{port}",
        }
        command = [program, *(f"--{name}={value}" for name, value in flags.items()), "--web.enable-lifecycle"]
        self._process = Process("prometheus", command, folder / "prometheus.log")

    def __enter__(self) -> "Prometheus":
        self._process.wait_until(lambda: answers(f"{self.url}/-/ready"))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def reload(self, configuration: Mapping[str, Any]) -> None:
        """Take another configuration."""
        self._write(configuration)
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/-/reload", method="POST"), timeout=30).close()

    def ask(self, expression: str) -> list[Sample]:
        """What an instant query finds.

        Raises:
            QueryError: It is no query.
        """
        found = self._get("query", {"query": expression})
        return found["result"] if found["resultType"] == "vector" else [{"metric": {}, "value": found["result"]}]

    def labels(self, metric: str) -> set[str]:
        """Names of labels of a metric's series; none where it has no series."""
        return {label for each in self._get("series", {"match[]": metric}) for label in each}

    def families(self) -> set[str]:
        """Names of all metrics that something scraped has told of, those without a series yet too."""
        return set(self._get("metadata", {}))

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with their health."""
        return [rule for group in self._get("rules", {})["groups"] for rule in group["rules"]]

    def _write(self, configuration: Mapping[str, Any]) -> None:
        self._file.write_text(yaml.safe_dump(configuration))

    def _get(self, what: str, parameters: Mapping[str, str]) -> Any:
        address = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise QueryError(json.load(error)["error"]) from error
