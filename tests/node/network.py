"""The wires between nodes: a bridge here, and a pair of virtual interfaces to the network namespace of each node."""

import subprocess
from collections.abc import Sequence

from tests.node.addresses import CONTROL_PLANE, NODES, Place

BRIDGE = "nodes0"


def connect(places: Sequence[Place]) -> None:
    """Make a network namespace for each node, and routes between all of them and us."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", f"{CONTROL_PLANE}/{NODES.prefixlen}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for place in places:
        _add(place)
    for place in places:
        _ip("route", "add", str(place.pods), "via", place.address)
        for other in places:
            if other != place:
                _ip("-n", place.namespace, "route", "add", str(other.pods), "via", other.address)


def within(place: Place, command: Sequence[str]) -> list[str]:
    """The command as one that runs in the network of a node, and shares everything else with us."""
    # Not `ip netns exec`: it mounts a new /sys, which has no control groups.
    return ["nsenter", f"--net=/run/netns/{place.namespace}", "--", *command]


def _add(place: Place) -> None:
    ours, theirs = f"to-{place.number}", "eth0"
    _ip("netns", "add", place.namespace)
    _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", place.namespace)
    _ip("link", "set", ours, "master", BRIDGE, "up")
    inside = ("-n", place.namespace)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{place.address}/{NODES.prefixlen}", "dev", theirs)
    _ip(*inside, "link", "set", theirs, "up")
    _ip(*inside, "route", "add", "default", "via", CONTROL_PLANE)
    # The latter so that answers of a pod to another on its bridge, asked through a Service, find their way back.
    for setting in ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"):
        subprocess.run(within(place, ["sysctl", "-qw", setting]), check=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
