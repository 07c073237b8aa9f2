"""Service: the pool's name in DNS, with the addresses of all ready pods."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import Object, metadata, selector
from fleet_operator.specs.runtime import Runtime


def service(pool: EncoderPool, uid: str, program: Runtime) -> Object:
    """The object. Headless: clients hold a connection to each encoder and choose among them by load."""
    ports = [
        {"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in program.ports.items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(pool, uid),
        "spec": {"clusterIP": "None", "selector": selector(pool.metadata.name), "ports": ports},
    }
