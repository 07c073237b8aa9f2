"""What `plan` and `up` say about `spec.consumers`, the language servers that a pool's encoders are for. Pure."""

from typing import Any

from fleet_operator.api import EncoderPool
from fleet_operator.api.consumers import Consumer
from fleet_operator.local.ports import FIRST_SGLANG_PORT
from fleet_operator.specs.names import SGLANG_PORT
from fleet_operator.specs.runtime import Images, runtime

UNTOLD = (
    "spec.consumers has no effect on one machine, where no operator tells language servers of the encoders: give "
    "--sglang, and --register URL for each that runs here"
)


def untold(pool: EncoderPool, register: tuple[str, ...]) -> tuple[str, ...]:
    """A warning where the pool names language servers, and `up` is told of none."""
    return (UNTOLD,) if pool.spec.consumers and not register else ()


def lines(pool: EncoderPool, *, cluster: bool) -> list[str]:
    """Who the language servers are, and where they find the encoders; nothing where the pool names none."""
    if not pool.spec.consumers:
        return []
    servers = "; ".join(
        f"{_pods(each)}, list of encoders at port {each.bootstrap_port}, API at port {each.port}"
        for each in pool.spec.consumers
    )
    if cluster:
        ports = ", ".join(f"{name} {number}" for name, number in runtime(pool, (), Images("", "")).ports.items())
        where = f"ports of a pod: {ports}"
    else:
        where = (
            f"ports for them: {SGLANG_PORT} of each pod, in a cluster; here {FIRST_SGLANG_PORT} and up with "
            "`up --sglang`, and --register URL tells a language server"
        )
    return [f"spec.consumers: {servers}", where]


def as_json(pool: EncoderPool) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {"pods": _pods(each), "bootstrapPort": each.bootstrap_port, "port": each.port} for each in pool.spec.consumers
    ]


def _pods(consumer: Consumer) -> str:
    """Which pods they are."""
    if consumer.service is not None:
        there = consumer.service.namespace
        return f"Service {there}/{consumer.service.name}" if there else f"Service {consumer.service.name}"
    labels = (
        ",".join(f"{key}={value}" for key, value in consumer.selector.match_labels.items()) if consumer.selector else ""
    )
    return f"pods {labels}" + (f" of {consumer.namespace}" if consumer.namespace else "")
