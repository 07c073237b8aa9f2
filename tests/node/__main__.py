"""Real nodes here: `python -m tests.node build`, then `run COMMAND` in namespaces where they may be started."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.cluster import build
from tests.cluster.cache import MissingProgramError, cache
from tests.cluster.processes import ControlPlaneError
from tests.node import images, kernel, programs, sandbox, stores


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Say how long a part of the whole took; nothing where all was there."""
    started = time.monotonic()
    yield
    if (seconds := time.monotonic() - started) > 1:
        print(f"==> {name}: {seconds / 60:.1f} min")


def end_in_order() -> None:
    """Whoever ends us, what a run changed is put back, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` wants it ignored
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.node", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="see whether nodes can be started here, and change nothing")
    commands.add_parser("build", help="build programs and images, and unpack them; what is kept is taken")
    run = commands.add_parser("run", help="build, run a command in namespaces of its own, and leave nothing behind")
    run.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    end_in_order()
    try:
        sandbox.check(os.geteuid(), cache("nodes"))
        if options.command != "build":
            kernel.check()
        if options.command == "check":
            return 0
        with phase("control plane"):
            build.ensure()
        with phase("programs of nodes"):
            made = programs.ensure()
        with sandbox.alone():
            with phase("images"):
                built = images.ensure(made.coredns)
            with phase("images, unpacked"):
                store = stores.ensure(made, built)
            with phase("the run"):
                return sandbox.run(options.program, store, os.environ) if options.command == "run" else 0
    except (MissingProgramError, ControlPlaneError, subprocess.CalledProcessError, OSError) as error:
        print(f"node: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
