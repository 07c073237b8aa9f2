"""Times as the Kubernetes API writes them. Pure."""

from datetime import datetime


def read_time(text: str) -> datetime:
    """Of an API object's timestamp; aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def write_time(moment: datetime) -> str:
    """As a timestamp, to the second; `moment` is UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
