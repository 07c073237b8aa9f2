"""What a pool lacks because the cluster got its kind after the operator had started. Pure."""

from collections.abc import Iterable

from fleet_operator.api import EncoderPool
from fleet_operator.reconcile.desired import optional_kinds
from fleet_operator.reconcile.observation import Trouble


def lacking(pool: EncoderPool, late: Iterable[str]) -> list[Trouble]:
    """One for each kind that the pool has a use for.

    Args:
        pool: The pool.
        late: Kinds that the cluster has now and had not when the operator looked.
    """
    return [
        Trouble(
            "RestartNeeded",
            f"the cluster has got the kind {kind} since the operator started: restart the operator, so that the pool "
            "gets its own",
        )
        for kind in sorted(optional_kinds(pool).intersection(late))
    ]
