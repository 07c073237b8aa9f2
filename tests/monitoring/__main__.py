"""Builds the Prometheus operator into the cache, where it is not there: `python -m tests.monitoring`."""

import sys

from tests.cluster import build
from tests.cluster.cache import MissingProgramError
from tests.monitoring.operator import OPERATOR


def main() -> int:
    """The exit code."""
    try:
        build.obtain([OPERATOR])
    except MissingProgramError as error:
        print(f"monitoring: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
