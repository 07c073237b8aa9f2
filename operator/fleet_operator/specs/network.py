"""NetworkPolicy: who reaches the encoders."""

from fleet_operator.api import EncoderPool
from fleet_operator.specs.names import Object, metadata, selector
from fleet_operator.specs.runtime import Runtime, http_port


def network_policy(pool: EncoderPool, uid: str, program: Runtime) -> Object:
    """The object: the wire for the pool's consumers, metrics and health for all.

    Of a program with one port for both, it is the consumers' alone, as a policy tells ports apart and not paths: who
    scrapes it must be one of them. The kubelet's probes come from the pod's own node, which no policy keeps out.

    Egress stays open: encoders fetch media from URLs, and what they may fetch is `spec.media`'s to say.
    """
    consumers = [dict(each) for each in pool.spec.network_policy.consumers] or [{"podSelector": {}}]
    rules: list[Object] = [{"from": consumers, "ports": [{"port": "wire", "protocol": "TCP"}]}]
    if http_port(program) != "wire":
        rules.append({"ports": [{"port": http_port(program), "protocol": "TCP"}]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(pool, uid),
        "spec": {
            "podSelector": {"matchLabels": selector(pool.metadata.name)},
            "policyTypes": ["Ingress"],
            "ingress": rules,
        },
    }
