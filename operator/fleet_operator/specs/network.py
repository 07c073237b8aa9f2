"""NetworkPolicy: who reaches the encoders."""

from fleet_operator.api import EncoderPool
from fleet_operator.api.consumers import Consumer
from fleet_operator.specs.names import Object, metadata, selector
from fleet_operator.specs.runtime import Runtime, http_port

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that every namespace has."""


def network_policy(pool: EncoderPool, uid: str, program: Runtime) -> Object:
    """The object: the wires for the pool's consumers, metrics and health for all.

    Of a program with one port for both, it is the consumers' alone, as a policy tells ports apart and not paths: who
    scrapes it must be one of them. The kubelet's probes come from the pod's own node, which no policy keeps out.

    Language servers of `spec.consumers` need not be named again, and reach the port that they use.

    Egress stays open: encoders fetch media from URLs, what they may fetch is `spec.media`'s to say, and they send
    embeddings to language servers on ports that those choose.
    """
    peers = [dict(each) for each in pool.spec.network_policy.consumers] or [{"podSelector": {}}]
    wires = [name for name in ("wire", "sglang") if name in program.ports]
    rules: list[Object] = [{"from": peers, "ports": _ports(*wires)}]
    language_servers = [_peer(each, pool) for each in pool.spec.consumers]
    if language_servers:
        rules.append({"from": language_servers, "ports": _ports(wires[-1])})
    if http_port(program) != "wire":
        rules.append({"ports": _ports(http_port(program))})
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


def _ports(*names: str) -> list[Object]:
    return [{"port": name, "protocol": "TCP"} for name in names]


def _peer(consumer: Consumer, pool: EncoderPool) -> Object:
    """Of a Service, all pods of its namespace: a policy knows no Services, and what one selects changes under it."""
    if consumer.selector is None:
        there = consumer.service.namespace if consumer.service else None
        labels: Object = {}
    else:
        there, labels = consumer.namespace, {"matchLabels": dict(consumer.selector.match_labels)}
    if there in (None, pool.metadata.namespace):
        return {"podSelector": labels}
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: there}}, "podSelector": labels}
