"""What visits to pools work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from fleet_operator.autoscale import Decision
from fleet_operator.consumers.report import Report
from fleet_operator.kube.client import Api
from fleet_operator.kube.events import Recorder
from fleet_operator.observed.mirror import Key, Mirror
from fleet_operator.observed.occupancy import Occupancy
from fleet_operator.specs.runtime import Images


class Insight(Protocol):
    """What the encoders of a pool say of themselves; see `scaling.scaler`."""

    def decision(self, key: Key) -> Decision | None:
        """About its replicas."""

    def fingerprint(self, key: Key) -> str | None:
        """Of its model; empty where they do not agree, None where none has told it yet."""

    def refusal(self, key: Key) -> str:
        """Why the last decision could not be done; empty where it could."""

    def costs(self, key: Key) -> Mapping[str, int]:
        """Of deleting each pod."""


class Registrations(Protocol):
    """How far language servers know of a pool's encoders; see `consumers.registrar`."""

    def report(self, key: Key) -> Report | None:
        """Of a pool; None where nobody has looked yet."""


@dataclass
class World:
    """The cluster and what is known of it.

    Attributes:
        api: The API server.
        mirror: What is known of the cluster.
        recorder: Of events.
        images: Where a pool names none.
        kinds: Optional kinds that the cluster has.
        reads_nodes: Whether nodes are watched.
        occupancy: What other pods hold on nodes.
        outdated: Whether the definition in the cluster is not this operator's.
        late: Optional kinds that the cluster got after the operator had started.
        insight: What is known of the encoders themselves.
        registrations: What language servers know of the encoders.
    """

    api: Api
    mirror: Mirror
    recorder: Recorder
    images: Images
    kinds: frozenset[str]
    reads_nodes: bool
    occupancy: Occupancy
    outdated: bool = False
    late: frozenset[str] = frozenset()
    insight: Insight | None = None
    registrations: Registrations | None = None
