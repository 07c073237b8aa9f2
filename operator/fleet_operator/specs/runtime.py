"""What differs between the programs that a pod may run: our encoder, or SGLang's own."""

from dataclasses import dataclass

from fleet_operator.api import EncoderPool
from fleet_operator.environment import EnvVar, model_source
from fleet_operator.specs.names import HTTP_PORT, SGLANG_PORT, WIRE_PORT, Object

POD_IP = "POD_IP"
"""Variable of SGLang's pods: where it listens, their address of the cluster's first kind, IPv4 or IPv6."""

_THREADS_OF_SGLANG = ("SGLANG_ENCODER_", "OMP_", "MKL_", "OPENBLAS_")


@dataclass(frozen=True, slots=True)
class Images:
    """Container images where a pool names none."""

    native: str
    sglang: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """The program of a pod.

    Attributes:
        image: Container image.
        command: In place of the image's own entry point; empty for that.
        ports: Name -> port. `wire` and `sglang` are what consumers use, `http` has metrics and health.
        health: Path of the liveness probe.
        ready: Path of the readiness probe.
        env: The plan's variables that it understands, and fixed ones.
    """

    image: str
    command: tuple[str, ...]
    ports: dict[str, int]
    health: str
    ready: str
    env: tuple[EnvVar, ...]


def runtime(pool: EncoderPool, plan_env: tuple[EnvVar, ...], images: Images) -> Runtime:
    """The program of the pool's pods."""
    if pool.spec.runtime == "SGLang":
        return _sglang(pool, plan_env, images)
    own = [
        EnvVar("ENCODERFLEET_BIND", f"tcp://*:{WIRE_PORT}", "the pod's port `wire`, of IPv4 and IPv6"),
        EnvVar("ENCODERFLEET_HTTP", f"*:{HTTP_PORT}", "the pod's port `http`, of IPv4 and IPv6"),
        EnvVar("ENCODERFLEET_LOG_FORMAT", "json", "for log collectors"),
    ]
    ports = {"wire": WIRE_PORT, "http": HTTP_PORT}
    # Nobody proves there who he is, so it is open only where somebody uses it.
    if pool.spec.consumers:
        own.append(
            EnvVar("ENCODERFLEET_SGLANG_HTTP", f"*:{SGLANG_PORT}", "the pod's port `sglang`, for spec.consumers")
        )
        ports["sglang"] = SGLANG_PORT
    return Runtime(
        image=pool.spec.image or images.native,
        command=(),
        ports=ports,
        health="/healthz",
        ready="/readyz",
        env=plan_env + tuple(own),
    )


def _sglang(pool: EncoderPool, plan_env: tuple[EnvVar, ...], images: Images) -> Runtime:
    model = pool.spec.model
    flags = ["--model-path", model_source(model)[1], "--dtype", model.dtype, "--encoder-only", "--enable-metrics"]
    # It can listen on IPv4 or on IPv6, not on both; what asks it, and the kubelet, asks the pod's address.
    flags += ["--host", f"$({POD_IP})", "--port", str(SGLANG_PORT)]
    if model.revision:
        flags += ["--revision", model.revision]
    if pool.spec.sglang.transfer_backend != "auto":
        flags += ["--encoder-transfer-backend", pool.spec.sglang.transfer_backend]
    return Runtime(
        image=pool.spec.image or images.sglang,
        command=("python3", "-m", "sglang.launch_server", *flags),
        ports={"wire": SGLANG_PORT},
        health="/health",
        ready="/health",
        env=tuple(each for each in plan_env if each.name.startswith(_THREADS_OF_SGLANG)),
    )


def http_port(program: Runtime) -> str:
    """Name of the port with metrics and health."""
    return "http" if "http" in program.ports else "wire"


def container_ports(program: Runtime) -> list[Object]:
    """Of the container."""
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in program.ports.items()]
