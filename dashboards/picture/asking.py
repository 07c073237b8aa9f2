"""Asks a Prometheus over HTTP."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from dashboards.picture.series import Series
from dashboards.picture.window import Window

PATIENCE = 60
"""Seconds for an answer."""


class AskingError(Exception):
    """Prometheus does not answer, or does not take a query; the text says which, in its own words."""


class Prometheus:
    """One server.

    Args:
        url: Its address, without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def over_time(self, expression: str, shown: Window) -> list[Series]:
        """What a range query finds.

        Raises:
            AskingError: There is no answer.
        """
        found = self._get("query_range", query=expression, start=shown.start, end=shown.end, step=shown.step)
        return [_series(each["metric"], each["values"]) for each in found["result"]]

    def at(self, expression: str, time: float) -> list[Series]:
        """What an instant query finds; a number without labels is a series too.

        Raises:
            AskingError: There is no answer.
        """
        found = self._get("query", query=expression, time=time)
        if found["resultType"] == "scalar":
            return [_series({}, [found["result"]])]
        return [_series(each["metric"], [each["value"]]) for each in found["result"]]

    def values(self, label: str, series: str, shown: Window) -> list[str]:
        """Values that a label has in some series.

        Raises:
            AskingError: There is no answer.
        """
        found = self._get(f"label/{label}/values", **{"match[]": series}, start=shown.start, end=shown.end)
        return [str(each) for each in found]

    def _get(self, what: str, **parameters: str | float) -> Any:
        address = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AskingError(f"{address}: {error.read().decode(errors='replace')}") from error
        except (OSError, ValueError, KeyError) as error:
            raise AskingError(f"{self._url} does not answer as Prometheus does: {error!r}") from error


def _series(labels: Mapping[str, str], points: list[list[Any]]) -> Series:
    return Series(labels, tuple((float(time), float(value)) for time, value in points))
