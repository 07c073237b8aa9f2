"""A real Kubernetes control plane for people: `python -m tests.cluster up --nodes 4x32cpu:8gpu`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from tests.cluster import build, nodes, shapes
from tests.cluster.cache import MissingProgramError, root
from tests.cluster.control_plane import ControlPlane
from tests.cluster.processes import ControlPlaneError
from tests.cluster.programs import VERSIONS, find

PRETEND = "encoderfleet.io/pretend"
WATCH_SECONDS = 1.0


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "build":
            _build()
        else:
            _up(options.nodes)
    except (MissingProgramError, ControlPlaneError) as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the programs, once")
    up = commands.add_parser("up", help="start a control plane, and stay until Ctrl-C")
    up.add_argument("--nodes", nargs="+", default=[], type=_shape, metavar="4x32cpu:8gpu", help="pretend nodes")
    return parser


def _shape(text: str) -> shapes.Shape:
    try:
        return shapes.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _build() -> None:
    if find() is not None:
        print(f"==> control plane: {VERSIONS} (built already, in {root()})")
    build.ensure()


def _up(wanted: Sequence[shapes.Shape]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    programs, started = build.ensure(), time.monotonic()
    with ControlPlane(programs) as cluster:
        print(f"==> {VERSIONS}: up in {time.monotonic() - started:.1f} s at {cluster.server}, logs in {cluster.folder}")
        for number, shape in enumerate(wanted):
            _add(cluster, f"pretend-{number}", shape)
        print("\nIn another terminal:\n")
        print(f"export KUBECONFIG={cluster.kubeconfig} PATH={programs.kubectl.parent}:$PATH")
        print("\nCtrl-C ends it, and nothing of it is left.", flush=True)
        while True:
            cluster.check()
            time.sleep(WATCH_SECONDS)


def _add(cluster: ControlPlane, name: str, shape: shapes.Shape) -> None:
    made = (
        nodes.node(f"{name}-{number}", cpus=shape.cpus, gpus=shape.gpus, memory=shape.memory, labels={PRETEND: name})
        for number in range(shape.count)
    )
    nodes.create(cluster.kubeconfig, made)
    nodes.wait_until_ready(cluster.kubeconfig, f"{PRETEND}={name}", shape.count)
    print(f"==> {shape.count} nodes of {shape.cpus} CPUs, {shape.gpus} GPUs, {shape.memory}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
