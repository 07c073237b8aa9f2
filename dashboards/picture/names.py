"""How a series is called in a legend. Pure."""

import re
from collections.abc import Mapping


def named(legend: str, labels: Mapping[str, str]) -> str:
    """A legend with labels' values put in: `{{stage}} p99`. A label that is not there leaves nothing."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip()
