"""Who a pod is, and where it may write: not root, and nowhere in its image."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import Object

SCRATCH = "/tmp"
"""Where a pod may write what it need not keep."""

_CACHES = f"{SCRATCH}/.cache"

HOME = {
    "HOME": SCRATCH,
    # The image's list of users need not have the pod's, and Python then fails to find out its name.
    "USER": "encoder",
    # Images set these to folders of root's, and what is in a home of root's cannot be read.
    "XDG_CACHE_HOME": _CACHES,
    "HF_HOME": f"{_CACHES}/huggingface",
    "TORCHINDUCTOR_CACHE_DIR": f"{_CACHES}/torchinductor",
    "TRITON_CACHE_DIR": f"{_CACHES}/triton",
}
"""Variables that lead what programs write by themselves to `SCRATCH`."""


def pod_security(pool: EncoderPool) -> Object:
    """The `securityContext` of a pod.

    The user is a number and always there: of an image that runs as root, or under a name, the kubelet would start none.
    """
    who = pool.spec.pod_template.security_context
    made: Object = {
        "runAsNonRoot": True,
        "runAsUser": who.run_as_user,
        "runAsGroup": who.run_as_group,
        "fsGroup": who.fs_group,
        # Else every start of a pod would go through all files of a volume with weights.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if who.supplemental_groups:
        made["supplementalGroups"] = list(who.supplemental_groups)
    return made
