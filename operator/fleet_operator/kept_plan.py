"""What the pods of a shape were planned with, as text beside them: the operator itself remembers nothing. Pure."""

import json
from dataclasses import asdict, dataclass
from decimal import Decimal

from fleet_operator.nodes.node import MAX_CPUS, MAX_DEVICES
from fleet_operator.quantity import format_quantity, parse_quantity


@dataclass(frozen=True, slots=True)
class Kept:
    """What the pods of a shape were planned with.

    Attributes:
        shape: Name of the shape.
        labels: Value of each shape label.
        cpus: Of a replica.
        gpus: Of a replica.
        inputs: `inputs_hash` at that time.
        others: CPUs of a node that other pods held at that time.
    """

    shape: str
    labels: tuple[tuple[str, str | None], ...]
    cpus: int
    gpus: int
    inputs: str
    others: Decimal = Decimal(0)

    def dump(self) -> str:
        """As text, to be kept with the pods."""
        return json.dumps({**asdict(self), "others": format_quantity(self.others)}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> "Kept | None":
        """From text; None where somebody has changed it."""
        try:
            read = json.loads(text)
            labels = tuple((str(key), value) for key, value in read["labels"])
            others = parse_quantity(read["others"])
            found = cls(str(read["shape"]), labels, int(read["cpus"]), int(read["gpus"]), str(read["inputs"]), others)
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            return None
        return found if 0 < found.cpus <= MAX_CPUS and 0 <= found.gpus <= MAX_DEVICES else None
