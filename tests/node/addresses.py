"""Which addresses there are, all of them in network namespaces that exist for one run."""

import ipaddress
from dataclasses import dataclass

NODES = ipaddress.ip_network("172.30.0.0/24")
"""Of the nodes, and of the machine of the control plane, by one bridge."""
PODS = ipaddress.ip_network("10.244.0.0/16")
CONTROL_PLANE = str(NODES[1])
DNS = "10.96.0.10"
"""The Service of CoreDNS."""
DOMAIN = "cluster.local"


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the network.

    Attributes:
        name: Of the node.
        number: From 0, different for each.
    """

    name: str
    number: int

    @property
    def address(self) -> str:
        """Of the node."""
        return str(NODES[11 + self.number])

    @property
    def pods(self) -> ipaddress.IPv4Network:
        """Of its pods; the first one is their gateway."""
        return list(PODS.subnets(new_prefix=24))[1 + self.number]

    @property
    def namespace(self) -> str:
        """Of the network, as `ip netns` names it."""
        return self.name
