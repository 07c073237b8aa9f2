"""Builds other people's autoscalers into the cache: `python -m tests.scalers metrics-adapter`, or `keda`."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from tests.cluster import build
from tests.cluster.cache import MissingProgramError
from tests.scalers import programs

BUILDERS: dict[str, Callable[[], object]] = {
    "metrics-adapter": programs.ensure_metrics_adapter,
    "keda": programs.ensure_keda,
}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.scalers", description=__doc__)
    parser.add_argument("what", choices=BUILDERS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        build.ensure()
        BUILDERS[options.what]()
    except MissingProgramError as error:
        print(f"scalers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
