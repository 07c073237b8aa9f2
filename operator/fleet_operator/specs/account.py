"""ServiceAccount: an identity of the pool's own that may do nothing; pods get no token."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import Object, metadata


def account(pool: EncoderPool, uid: str) -> Object:
    """The object."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(pool, uid),
        "automountServiceAccountToken": False,
    }
