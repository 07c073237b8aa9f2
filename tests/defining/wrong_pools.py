"""Pools with one fault each, and what the API server and the pool file's reader say of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    """A pool that nobody takes.

    Attributes:
        spec: Fields of the spec, in YAML's flow style; a model path is put before them where they have no model.
        field: Where the fault is, as both name it.
        cluster: What `kubectl apply` says to do.
        file: What `encoderfleet plan` says to do.
        name: Of the pool.
        labels: Of the pool, in flow style.
    """

    spec: str
    field: str
    cluster: str
    file: str
    name: str = "vision"
    labels: str = ""

    @property
    def text(self) -> str:
        """The pool file."""
        spec = self.spec if self.spec.startswith("model:") else f"model: {{path: /m}}, {self.spec}"
        return (
            "apiVersion: encoderfleet.io/v1alpha1\nkind: EncoderPool\n"
            f"metadata: {{name: {self.name}, labels: {{{self.labels}}}}}\nspec: {{{spec}}}\n"
        )


def _same(spec: str, field: str, words: str) -> Wrong:
    """Where both say the same."""
    return Wrong(spec, field, words, words)


def _named(name: str) -> Wrong:
    words = "must be lower-case letters, digits and dashes, a letter first"
    return Wrong("", "metadata.name", words, words, name)


_ONE_SOURCE = "exactly one of path (a directory in the image or of a mounted volume), name (of the Hugging Face hub)"
_KEY = "each key must be like node.kubernetes.io/instance-type, with at most 63 characters after the slash"
_HOST = "must be a lower-case host like media.example.com or *.example.com, without scheme, port and path"
_BYTES = "must be whole bytes, 1 to 1Pi, such as 500M, 256Mi or 1.5Gi"
_CPUS = "must be CPUs, over 0 and at most 4096, in steps of 1m, such as 4, 2500m or 1.5"
_ROLLOUT = "must be a whole number, 0 to 2147483647, or a percentage, 0% to 100%"
_KILLED = "must be at least preStopSeconds + drainSeconds, else pods are killed while they finish their work"
_MANUAL = "is ignored under policy: Auto: set spec.threads.policy: Manual, or remove it"
_UNQUOTED = 'must be of type string: "boolean"'

TABLE = (
    # The name, of which the names of all that belongs to the pool are made.
    _named("1st"),
    Wrong("", "metadata.name", "at most 50 of them", "must have at most 50 characters, got 51", "a" * 51),
    Wrong("", "metadata.name", "must consist of lower case alphanumeric", "must be lower-case letters", "Vision"),
    Wrong("", "metadata.labels", "a valid label must", "must be a label's value", labels="team: a b"),
    # The model.
    Wrong("model: {}", "spec.model", _ONE_SOURCE, "needs path (a model directory) or name (of the Hugging Face hub)"),
    Wrong("model: {path: /m, name: a/b}", "spec.model", _ONE_SOURCE, "has both path and name: remove one of them"),
    Wrong("model: {name: a/b, pvc: {claimName: c}}", "spec.model", _ONE_SOURCE, "has both name and pvc: remove one"),
    _same("model: {path: /m, revision: main}", "spec.model.revision", "a directory has no revisions, remove it"),
    _same("model: {pvc: {claimName: c}, revision: v1}", "spec.model.revision", "belongs to model.name"),
    _same('model: {path: "a\\nb"}', "spec.model.path", "must be a path without control characters"),
    _same("model: {name: Qwen/Qwen2.5/VL}", "spec.model.name", "must be a name like Qwen/Qwen2.5-VL-7B-Instruct"),
    _same("model: {name: a/b, revision: a b}", "spec.model.revision", "must be a branch, tag or commit"),
    Wrong("model: {path: /m, dtype: fp16}", "spec.model.dtype", '"bfloat16", "float16"', "bfloat16 or float16, got"),
    _same("model: {pvc: {claimName: My_Models}}", "spec.model.pvc.claimName", "lower-case letters, digits, dashes and"),
    _same("model: {pvc: {claimName: c, path: /abs}}", "spec.model.pvc.path", "without a slash before it"),
    Wrong("model: {pvc: {}}", "spec.model.pvc.claimName", "Required value", "is missing. PersistentVolumeClaim"),
    _same(
        "model: {name: a/b, tokenSecretRef: {name: s, key: a b}}", "spec.model.tokenSecretRef.key", "must be a key of"
    ),
    Wrong("model: /m", "spec.model", "must be of type object", "must be a mapping of fields"),
    # Fields that are not there.
    Wrong("modality: [image]", "spec.modality", "unknown field", "is not a field; did you mean modalities?"),
    Wrong("maxFrames: 4", "spec.maxFrames", "unknown field", "is not a field; did you mean spec.media.maxFrames?"),
    Wrong("cpus: 4", "spec.cpus", "unknown field", "is not a field; did you mean spec.resources.cpus?"),
    # Words and counts.
    Wrong("runtime: native", "spec.runtime", 'supported values: "Native"', "must be Native or SGLang, got"),
    _same("image: encoder 1", "spec.image", "must be an image like example.com/team/encoder:1.2"),
    Wrong("modalities: [text]", "spec.modalities[0]", 'supported values: "image"', "must be image, video or audio"),
    Wrong("modalities: [image, image]", "spec.modalities", "Duplicate value", "names image twice: remove one"),
    Wrong("modalities: image", "spec.modalities", "must be of type array", "must be a list"),
    Wrong("replicas: -1", "spec.replicas", "should be greater than or equal to 0", "must be at least 0, got -1"),
    Wrong("replicas: 100001", "spec.replicas", "should be less than or equal to 100000", "must be at most 100000"),
    Wrong("replicas: '2'", "spec.replicas", "must be of type integer", "must be a whole number, got"),
    Wrong("paused: 1", "spec.paused", "must be of type boolean", "must be true or false"),
    # Quantities.
    Wrong("resources: {gpus: 17}", "spec.resources.gpus", "should be less than or equal to 16", "must be at most 16"),
    Wrong("resources: {cpus: -1}", "spec.resources.cpus", _CPUS, "must be more than 0, got -1"),
    Wrong("resources: {cpus: 0}", "spec.resources.cpus", _CPUS, "must be more than 0, got 0"),
    Wrong("resources: {cpus: many}", "spec.resources.cpus", _CPUS, "is not a quantity such as 4, 500m"),
    Wrong("resources: {cpus: 100u}", "spec.resources.cpus", _CPUS, "must be in steps of 1m"),
    Wrong("resources: {cpus: 5000}", "spec.resources.cpus", _CPUS, "must be at most 4096"),
    Wrong("resources: {memory: 500m}", "spec.resources.memory", _BYTES, "must be whole bytes, got 500m"),
    Wrong("resources: {memory: 5Q}", "spec.resources.memory", _BYTES, "is not a quantity such as 4, 500m"),
    Wrong("resources: {memory: 0}", "spec.resources.memory", _BYTES, "must be at least 1, got 0"),
    Wrong("resources: {memory: 2Pi}", "spec.resources.memory", _BYTES, "must be at most 1Pi, got 2Pi"),
    Wrong("resources: {memory: 9e18}", "spec.resources.memory", _BYTES, "must be at most 1Pi"),
    _same("resources: {gpuResource: nvidia gpu}", "spec.resources.gpuResource", "must be like node.kubernetes.io/"),
    Wrong("resources: {reservedCpus: -500m}", "spec.resources.reservedCpus", "must be CPUs, 0 to 4096", "at least 0"),
    Wrong("admission: {maxPendingBytes: 0}", "spec.admission.maxPendingBytes", _BYTES, "must be at least 1"),
    Wrong("media: {maxBytes: -1Ki}", "spec.media.maxBytes", _BYTES, "must be at least 1"),
    Wrong("cache: {size: 1.5}", "spec.cache.size", "must be of type integer,string", 'write the number as text, "1.5"'),
    # Threads.
    Wrong("threads: {policy: auto}", "spec.threads.policy", 'supported values: "Auto"', "did you mean Auto?"),
    _same("threads: {preprocessWorkers: 8}", "spec.threads.preprocessWorkers", _MANUAL),
    _same("threads: {policy: Auto, videoDecodeThreads: 2}", "spec.threads.videoDecodeThreads", _MANUAL),
    Wrong("threads: {policy: Manual, ffmpegThreads: 0}", "spec.threads.ffmpegThreads", "or equal to 1", "at least 1"),
    # Media and ends.
    Wrong("batching: {maxPatches: 0}", "spec.batching.maxPatches", "or equal to 1", "must be at least 1"),
    _same("media: {allowedDomains: ['https://a.example.com']}", "spec.media.allowedDomains[0]", _HOST),
    _same("media: {allowedDomains: ['a.example.com:443']}", "spec.media.allowedDomains[0]", _HOST),
    Wrong("media: {allowPrivateNetworks: 'no'}", "spec.media.allowPrivateNetworks", "of type boolean", "true or false"),
    Wrong("lifecycle: {drainSeconds: 1h}", "spec.lifecycle.drainSeconds", "of type integer", "must be a whole number"),
    _same("lifecycle: {terminationGracePeriodSeconds: 34}", "spec.lifecycle.terminationGracePeriodSeconds", _KILLED),
    _same(
        "lifecycle: {preStopSeconds: 60, drainSeconds: 0, terminationGracePeriodSeconds: 30}",
        "spec.lifecycle.terminationGracePeriodSeconds",
        _KILLED,
    ),
    # Rollout and autoscaling.
    _same("rollout: {maxSurge: 150%}", "spec.rollout.maxSurge", _ROLLOUT),
    _same("rollout: {maxSurge: -1}", "spec.rollout.maxSurge", _ROLLOUT),
    _same("rollout: {maxUnavailable: 0}", "spec.rollout.maxUnavailable", "must not be 0 where maxSurge is 0 too"),
    _same(
        "rollout: {maxSurge: 0%, maxUnavailable: 0%}", "spec.rollout.maxUnavailable", "no pod could ever be replaced"
    ),
    Wrong("autoscaling: {mode: Off}", "spec.autoscaling.mode", _UNQUOTED, 'put quotes around "Off"'),
    Wrong("autoscaling: {minReplicas: 0}", "spec.autoscaling.minReplicas", "or equal to 1", "must be at least 1"),
    _same("autoscaling: {minReplicas: 5, maxReplicas: 3}", "spec.autoscaling.maxReplicas", "must not be below min"),
    _same("autoscaling: {minReplicas: 11}", "spec.autoscaling.maxReplicas", "must not be below minReplicas"),
    _same(
        "autoscaling: {mode: Auto, backend: KEDA}", "spec.autoscaling.prometheusAddress", "is needed by backend: KEDA"
    ),
    _same("autoscaling: {prometheusAddress: a:9090}", "spec.autoscaling.prometheusAddress", "like http://prometheus."),
    Wrong(
        "autoscaling: {targets: {utilizationPercent: 0.75}}",
        "spec.autoscaling.targets.utilizationPercent",
        "must be of type integer",
        "must be a whole number",
    ),
    Wrong(
        "autoscaling: {behavior: {scaleDown: {policies: [{type: Pods, value: 1}]}}}",
        "spec.autoscaling.behavior.scaleDown.policies[0].periodSeconds",
        "Required value",
        "is missing. Length of the period.",
    ),
    # Nodes and pods.
    _same("scheduling: {nodeSelector: {disk type: ssd}}", "spec.scheduling.nodeSelector", _KEY),
    _same(f"scheduling: {{nodeSelector: {{{'k' * 64}: ssd}}}}", "spec.scheduling.nodeSelector", _KEY),
    _same("scheduling: {nodeSelector: {disk: very fast}}", "spec.scheduling.nodeSelector", "must be a label's value"),
    Wrong(
        "scheduling: {nodeSelector: {spot: true}}", "spec.scheduling.nodeSelector.spot", _UNQUOTED, "put it in quotes"
    ),
    Wrong(
        "scheduling: {tolerations: [{keys: gpu}]}", "spec.scheduling.tolerations[0]", "unknown field", "there are eff"
    ),
    Wrong("scheduling: {affinity: {nodes: {}}}", "spec.scheduling.affinity", "unknown field", "there are nodeAffinity"),
    Wrong("scheduling: {shapeLabels: [a, b, c, d, e, f, g, h, i]}", "spec.scheduling.shapeLabels", "most 8", "most 8"),
    Wrong(
        "networkPolicy: {mode: 'On'}", "spec.networkPolicy.mode", 'supported values: "Off"', "must be Off or Restrict"
    ),
    Wrong(
        "networkPolicy: {consumers: [{pods: {}}]}", "spec.networkPolicy.consumers[0]", "unknown field", "there are ip"
    ),
    # Consumers.
    _same("consumers: [{port: 1}]", "spec.consumers[0]", "exactly one of service (a Service) and selector (labels of"),
    _same(
        "consumers: [{service: {name: a}, selector: {matchLabels: {a: b}}}]",
        "spec.consumers[0]",
        "exactly one of service (a Service) and selector (labels of pods) is needed",
    ),
    _same("consumers: [{service: {name: a}, namespace: b}]", "spec.consumers[0].namespace", "it is service.namespace"),
    _same("consumers: [{selector: {matchLabels: {}}}]", "spec.consumers[0].selector.matchLabels", "at least one label"),
    _same("consumers: [{selector: {matchLabels: {a b: c}}}]", "spec.consumers[0].selector.matchLabels", _KEY),
    _same("consumers: [{service: {name: My_VLM}}]", "spec.consumers[0].service.name", "lower-case letters, digits"),
    Wrong(
        "consumers: [{service: {name: a}, port: 0}]",
        "spec.consumers[0].port",
        "should be greater than or equal to 1",
        "must be at least 1, got 0",
    ),
    Wrong("sglang: {transferBackend: zmq}", "spec.sglang.transferBackend", 'supported values: "auto"', "must be auto"),
    Wrong("podTemplate: {env: [{value: x}]}", "spec.podTemplate.env[0]", "Required value", "name is missing"),
    Wrong("podTemplate: {env: [{name: A, value: 1}]}", "spec.podTemplate.env[0]", "of type string", "put it in quotes"),
    Wrong("podTemplate: {env: [{name: A}, {name: A}]}", "spec.podTemplate.env", "Duplicate value", "names A twice"),
    Wrong("podTemplate: {volumes: [{name: d, pvc: {}}]}", "spec.podTemplate.volumes[0]", "unknown field", "there are"),
    Wrong(
        "podTemplate: {volumeMounts: [{name: d}]}", "spec.podTemplate.volumeMounts[0]", "Required", "mountPath is miss"
    ),
    _same("podTemplate: {annotations: {a b: c}}", "spec.podTemplate.annotations", _KEY),
    Wrong(
        "podTemplate: {securityContext: {runAsUser: 0}}",
        "spec.podTemplate.securityContext.runAsUser",
        "should be greater than or equal to 1",
        "must be at least 1, got 0",
    ),
)
