"""Container `main` of a pod, and the volumes that it uses."""

from fleet_operator.api import EncoderPool
from fleet_operator.cluster_plan import ShapePlan
from fleet_operator.environment import MODEL_VOLUME
from fleet_operator.quantity import format_quantity
from fleet_operator.specs.names import Object
from fleet_operator.specs.runtime import POD_IP, Runtime, container_ports, http_port
from fleet_operator.specs.user import HOME, SCRATCH

CACHE_VOLUME = "/var/cache/encoderfleet"
SHARED_MEMORY = "1Gi"
"""Of /dev/shm: torch and ZMQ pass tensors through it, and a container's default of 64 MiB is too small."""

_START = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 720}
_LIVE = {"periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6}
_READY = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2}


def container(pool: EncoderPool, row: ShapePlan, program: Runtime) -> Object:
    """The container."""
    result: Object = {
        "name": "main",
        "image": program.image,
        "env": _env(pool, program),
        "ports": container_ports(program),
        "resources": _resources(pool, row),
        "startupProbe": _probe(program, program.ready, _START),
        "livenessProbe": _probe(program, program.health, _LIVE),
        "readinessProbe": _probe(program, program.ready, _READY),
        # The last lines of an encoder that refuses to start say why; the operator passes them on.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": _mounts(pool),
    }
    if program.command:
        result["command"] = list(program.command)
    if pool.spec.lifecycle.pre_stop_seconds:
        result["lifecycle"] = {"preStop": {"sleep": {"seconds": pool.spec.lifecycle.pre_stop_seconds}}}
    return result


def _probe(program: Runtime, path: str, timing: dict[str, int]) -> Object:
    return {"httpGet": {"path": path, "port": http_port(program)}, **timing}


def _resources(pool: EncoderPool, row: ShapePlan) -> Object:
    """Requests equal limits, and CPUs are whole.

    So a pod that has a limit of memory too is of quality of service `Guaranteed`, and gets cores of its own.
    """
    amounts: dict[str, str] = {"cpu": str(row.share.cpus)}
    if row.share.gpus:
        amounts[pool.spec.resources.gpu_resource] = str(row.share.gpus)
    if pool.spec.resources.memory is not None:
        amounts["memory"] = format_quantity(pool.spec.resources.memory, binary=True)
    return {"requests": amounts, "limits": amounts}


def _env(pool: EncoderPool, program: Runtime) -> list[Object]:
    """The plan's variables, then the model's and the pod's own; what `podTemplate.env` sets is the user's."""
    variables: list[Object] = [{"name": each.name, "value": each.value} for each in program.env]
    if pool.spec.runtime == "Native":
        variables.append({"name": "ENCODERFLEET_REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    else:
        variables.append({"name": POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    kept = {"HF_HOME": CACHE_VOLUME} if pool.spec.model.name is not None else {}
    variables += [{"name": name, "value": value} for name, value in {**HOME, **kept}.items()]
    secret = pool.spec.model.token_secret_ref
    if secret is not None:
        reference = {"name": secret.name, "key": secret.key}
        variables.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": reference}})
    theirs = [dict(each) for each in pool.spec.pod_template.env]
    named = {each["name"] for each in theirs}
    return [each for each in variables if each["name"] not in named] + theirs


def _mounts(pool: EncoderPool) -> list[Object]:
    mounts: list[Object] = [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "tmp", "mountPath": SCRATCH}]
    if pool.spec.model.pvc is not None:
        mounts.append({"name": "model", "mountPath": MODEL_VOLUME, "readOnly": True})
    if pool.spec.model.name is not None:
        mounts.append({"name": "cache", "mountPath": CACHE_VOLUME})
    return mounts + [dict(each) for each in pool.spec.pod_template.volume_mounts]


def volumes(pool: EncoderPool) -> list[Object]:
    """Of the pod."""
    model = pool.spec.model
    result: list[Object] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if model.pvc is not None:
        claim = {"claimName": model.pvc.claim_name, "readOnly": True}
        result.append({"name": "model", "persistentVolumeClaim": claim})
    if model.name is not None and model.cache.claim_name is not None:
        result.append({"name": "cache", "persistentVolumeClaim": {"claimName": model.cache.claim_name}})
    elif model.name is not None:
        limit = {} if model.cache.size is None else {"sizeLimit": format_quantity(model.cache.size, binary=True)}
        result.append({"name": "cache", "emptyDir": limit})
    return result + [dict(each) for each in pool.spec.pod_template.volumes]
