import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import models

from fleet_operator.quantity import parse_quantity
from fleet_operator.reconcile.desired import desired
from fleet_operator.specs.names import MANAGER, POOL_LABEL, SHAPE_LABEL
from planning.clusters import GPU, TYPE, a_node
from reconciling.snapshots import UID, a_cluster_pool, seen

NODES = [a_node("c", labels={TYPE: "cpu"}), a_node("g", gpus=8, cpu=65, labels={TYPE: "gpu"})]
ALL_KINDS = frozenset({"PodMonitor", "ScaledObject"})
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def built(nodes: Any = None, **spec: Any) -> dict[str, dict[str, Any]]:
    """Objects of a pool by kind, of the Deployments the one with the most replicas."""
    made = desired(seen(a_cluster_pool(**spec), NODES if nodes is None else nodes, kinds=ALL_KINDS))
    ordered = sorted(made.objects, key=lambda body: body["spec"].get("replicas", 0) if "spec" in body else 0)
    return {body["kind"]: body for body in ordered}


def pod(nodes: Any = None, **spec: Any) -> dict[str, Any]:
    """Spec of a pod."""
    made: dict[str, Any] = built(nodes, **spec)["Deployment"]["spec"]["template"]["spec"]
    return made


def container(**spec: Any) -> dict[str, Any]:
    (only,) = pod(**spec)["containers"]
    return dict(only)


def env_of(**spec: Any) -> dict[str, Any]:
    """Variables of the container; whole entries where they are no plain values."""
    return {each["name"]: each.get("value", each) for each in container(**spec)["env"]}


POOLS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(
            [
                {"path": "/models/a"},
                {"name": "Qwen/Qwen2.5-VL-7B-Instruct", "revision": "main", "tokenSecretRef": {"name": "hub"}},
                {"name": "a/b", "cache": {"claimName": "weights"}},
                {"name": "a/b", "cache": {"size": "20Gi"}},
                {"pvc": {"claimName": "models", "path": "qwen"}},
            ]
        ),
        "runtime": st.sampled_from(["Native", "SGLang"]),
        "image": st.just("example.com/own:1"),
        "replicas": st.integers(0, 9),
        "resources": st.fixed_dictionaries(
            {},
            optional={
                "gpus": st.integers(0, 2),
                "cpus": st.sampled_from([2, "2500m"]),
                "memory": st.sampled_from(["16Gi", 1000]),
            },
        ),
        "lifecycle": st.fixed_dictionaries(
            {}, optional={"preStopSeconds": st.integers(0, 9), "terminationGracePeriodSeconds": st.just(77)}
        ),
        "rollout": st.sampled_from([{"maxSurge": "25%", "maxUnavailable": 0}, {"maxUnavailable": "10%"}]),
        "autoscaling": st.sampled_from(
            [
                {"mode": "Auto"},
                {"mode": "Auto", "backend": "HPA", "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0}}},
                {
                    "mode": "Auto",
                    "backend": "KEDA",
                    "prometheusAddress": "http://prometheus:9090",
                    "fallback": {"replicas": 3},
                },
            ]
        ),
        "scheduling": st.sampled_from(
            [
                {"nodeSelector": {TYPE: "gpu"}, "runtimeClassName": "nvidia", "priorityClassName": "high"},
                {"tolerations": [{"key": "team", "operator": "Exists"}], "shapeLabels": []},
                {"affinity": {"podAntiAffinity": {}}},
            ]
        ),
        "networkPolicy": st.sampled_from([{"mode": "Restrict"}]),
        "monitoring": st.sampled_from([{"podMonitor": "Off"}, {"labels": {"release": "prometheus"}}]),
        "podTemplate": st.just(
            {
                "labels": {"team": "vision", POOL_LABEL: "other", SHAPE_LABEL: "other"},
                "annotations": {"a": "b"},
                "env": [{"name": "OMP_NUM_THREADS", "value": "2"}],
                "volumes": [{"name": "data", "emptyDir": {}}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "imagePullSecrets": [{"name": "registry"}],
                "securityContext": {"runAsUser": 1, "fsGroup": 5000, "supplementalGroups": [44, 109]},
            }
        ),
    },
)
MODELS = {
    "Deployment": models.V1Deployment,
    "HorizontalPodAutoscaler": models.V2HorizontalPodAutoscaler,
    "NetworkPolicy": models.V1NetworkPolicy,
    "PodDisruptionBudget": models.V1PodDisruptionBudget,
    "Service": models.V1Service,
    "ServiceAccount": models.V1ServiceAccount,
}


def walk(value: Any) -> Any:
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(each)


@given(POOLS, st.sampled_from([NODES, NODES[:1], None]))
def test_whatever_a_pool_asks_for_its_objects_are_objects_of_kubernetes(spec: dict[str, Any], nodes: Any) -> None:
    made = desired(seen(a_cluster_pool(**spec), nodes, kinds=ALL_KINDS))
    for body in made.objects:
        assert all(each is not None for each in walk(body))
        assert json.loads(json.dumps(body)) == body
        meta = body["metadata"]
        assert meta["namespace"] == "team"
        assert meta["labels"][POOL_LABEL] == "vision"
        assert meta["labels"]["app.kubernetes.io/managed-by"] == MANAGER
        (owner,) = meta["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("EncoderPool", UID, True)
        if body["kind"] in MODELS:
            # Refuses fields that there are not, and wrong forms.
            MODELS[body["kind"]].model_validate(body)
    names = [(body["kind"], body["metadata"]["name"]) for body in made.objects]
    assert len(names) == len(set(names))


@given(POOLS, st.sampled_from([NODES, NODES[:1], None]))
def test_pods_meet_the_restricted_pod_security_standard(spec: dict[str, Any], nodes: Any) -> None:
    for body in desired(seen(a_cluster_pool(**spec), nodes)).objects:
        if body["kind"] != "Deployment":
            continue
        made = body["spec"]["template"]["spec"]
        who = made["securityContext"]
        assert who["runAsNonRoot"] is True
        assert who["runAsUser"] > 0  # a number, so that also an image of root's starts
        assert who["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & made.keys()
        assert made["automountServiceAccountToken"] is False
        for each in made["containers"]:
            security = each["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is True
            assert not any("hostPort" in port for port in each["ports"])
        for volume in made["volumes"]:
            (kind,) = volume.keys() - {"name"}
            assert kind in ("emptyDir", "persistentVolumeClaim")


@given(POOLS, st.sampled_from([NODES, NODES[:1], None]))
def test_requests_are_limits_and_cpus_are_whole(spec: dict[str, Any], nodes: Any) -> None:
    for body in desired(seen(a_cluster_pool(**spec), nodes)).objects:
        if body["kind"] == "Deployment":
            (only,) = body["spec"]["template"]["spec"]["containers"]
            resources = only["resources"]
            assert resources["requests"] == resources["limits"]
            assert resources["requests"]["cpu"].isdecimal()
            assert int(resources["requests"]["cpu"]) >= 1


@given(POOLS)
def test_every_mount_has_its_volume(spec: dict[str, Any]) -> None:
    for body in desired(seen(a_cluster_pool(**spec), NODES)).objects:
        if body["kind"] == "Deployment":
            made = body["spec"]["template"]["spec"]
            mounts = [mount for each in made["containers"] for mount in each["volumeMounts"]]
            volumes = [volume["name"] for volume in made["volumes"]]
            assert {mount["name"] for mount in mounts} == set(volumes)
            assert len(volumes) == len(set(volumes))
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@given(POOLS)
def test_every_probe_and_selector_finds_its_port_and_its_pods(spec: dict[str, Any]) -> None:
    made = desired(seen(a_cluster_pool(**spec), NODES, kinds=ALL_KINDS)).objects
    for body in made:
        if body["kind"] == "Deployment":
            template = body["spec"]["template"]
            assert body["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
            (only,) = template["spec"]["containers"]
            ports = {port["name"] for port in only["ports"]}
            probes = [only[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
            assert set(probes) <= ports
            for other in made:
                if other["kind"] == "Service":
                    assert other["spec"]["clusterIP"] == "None"
                    assert {port["targetPort"] for port in other["spec"]["ports"]} == ports
                if other["kind"] == "PodMonitor":
                    assert {end["port"] for end in other["spec"]["podMetricsEndpoints"]} <= ports


# What a replica has.


def test_a_replica_asks_for_its_share() -> None:
    resources = container(resources={"gpus": 1, "memory": "16Gi"})["resources"]
    assert resources["limits"] == {"cpu": "8", GPU: "1", "memory": "16Gi"}
    assert container(resources={"gpus": 0, "cpus": 4})["resources"]["limits"] == {"cpu": "4"}


def test_a_gpu_has_the_name_that_the_pool_says() -> None:
    nodes = [a_node(labels={TYPE: "x"}, **{"amd.com/gpu": "4"})]
    made = pod(nodes, resources={"gpus": 1, "gpuResource": "amd.com/gpu"})
    assert made["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"
    assert {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in made["tolerations"]


@pytest.mark.parametrize(
    ("lifecycle", "grace", "sleep"),
    [
        ({}, 50, 5),
        ({"drainSeconds": 300}, 320, 5),
        ({"preStopSeconds": 0}, 45, None),
        ({"preStopSeconds": 20, "drainSeconds": 0}, 35, 20),
        ({"terminationGracePeriodSeconds": 35}, 35, 5),
    ],
)
def test_a_pod_has_the_time_to_end_that_its_drain_takes(lifecycle: Any, grace: int, sleep: int | None) -> None:
    made = pod(lifecycle=lifecycle)
    assert made["terminationGracePeriodSeconds"] == grace
    hook = {} if sleep is None else {"lifecycle": {"preStop": {"sleep": {"seconds": sleep}}}}
    assert (
        {"lifecycle": made["containers"][0]["lifecycle"]} == hook if hook else "lifecycle" not in made["containers"][0]
    )


@pytest.mark.parametrize(
    ("program", "ready", "health"), [("Native", "/readyz", "/healthz"), ("SGLang", "/health", "/health")]
)
def test_probes_ask_whether_it_serves_and_whether_it_lives(program: str, ready: str, health: str) -> None:
    made = container(runtime=program)
    assert made["startupProbe"]["httpGet"]["path"] == made["readinessProbe"]["httpGet"]["path"] == ready
    assert made["livenessProbe"]["httpGet"]["path"] == health
    start = made["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] == 3600
    assert (
        start["periodSeconds"] * start["failureThreshold"] <= built()["Deployment"]["spec"]["progressDeadlineSeconds"]
    )


def test_shared_memory_is_larger_than_a_container_has_by_itself() -> None:
    made = pod()
    (shm,) = [volume for volume in made["volumes"] if volume["name"] == "shm"]
    assert shm["emptyDir"]["medium"] == "Memory"
    assert parse_quantity(shm["emptyDir"]["sizeLimit"]) >= 1 << 30
    mounts = {mount["name"]: mount["mountPath"] for mount in made["containers"][0]["volumeMounts"]}
    assert (mounts["shm"], mounts["tmp"]) == ("/dev/shm", "/tmp")


@pytest.mark.parametrize(
    ("model", "volume", "mount", "variables"),
    [
        ({"path": "/models/a"}, None, None, {"ENCODERFLEET_MODEL": "/models/a"}),
        (
            {"pvc": {"claimName": "models", "path": "qwen/7b"}},
            {"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
            {"name": "model", "mountPath": "/var/lib/encoderfleet/model", "readOnly": True},
            {"ENCODERFLEET_MODEL": "/var/lib/encoderfleet/model/qwen/7b"},
        ),
        (
            {"name": "a/b", "revision": "v1", "cache": {"size": "20Gi"}, "tokenSecretRef": {"name": "hub"}},
            {"name": "cache", "emptyDir": {"sizeLimit": "20Gi"}},
            {"name": "cache", "mountPath": "/var/cache/encoderfleet"},
            {
                "ENCODERFLEET_MODEL": "a/b",
                "ENCODERFLEET_MODEL_REVISION": "v1",
                "HF_HOME": "/var/cache/encoderfleet",
                "HF_TOKEN": {
                    "name": "HF_TOKEN",
                    "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}},
                },
            },
        ),
        (
            {"name": "a/b", "cache": {"claimName": "weights"}},
            {"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}},
            {"name": "cache", "mountPath": "/var/cache/encoderfleet"},
            {"HF_HOME": "/var/cache/encoderfleet"},
        ),
        ({"name": "a/b"}, {"name": "cache", "emptyDir": {}}, None, {}),
    ],
)
def test_a_model_comes_from_where_the_pool_says(model: Any, volume: Any, mount: Any, variables: dict[str, Any]) -> None:
    made = pod(model=model)
    assert volume is None or volume in made["volumes"]
    assert mount is None or mount in made["containers"][0]["volumeMounts"]
    assert variables.items() <= env_of(model=model).items()


def test_a_replica_is_called_as_its_pod() -> None:
    assert env_of()["ENCODERFLEET_REPLICA"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert "ENCODERFLEET_REPLICA" not in env_of(runtime="SGLang")


def test_an_encoder_listens_on_all_addresses_of_its_pod() -> None:
    told = env_of()
    assert (told["ENCODERFLEET_BIND"], told["ENCODERFLEET_HTTP"]) == ("tcp://*:5570", "*:8080")
    assert "POD_IP" not in told


def test_the_port_of_language_servers_is_open_where_the_pool_has_some() -> None:
    def ports(**spec: Any) -> tuple[Any, Any]:
        of_service = built(**spec)["Service"]["spec"]["ports"]
        return container(**spec)["ports"], {each["name"]: each["targetPort"] for each in of_service}

    made, of_service = ports(consumers=[{"service": {"name": "vlm"}}])
    assert env_of(consumers=[{"service": {"name": "vlm"}}])["ENCODERFLEET_SGLANG_HTTP"] == "*:30000"
    assert {"name": "sglang", "containerPort": 30000, "protocol": "TCP"} in made
    assert of_service["sglang"] == "sglang"
    # Nobody else shall reach it: who asks there proves nothing.
    made, of_service = ports()
    assert "ENCODERFLEET_SGLANG_HTTP" not in env_of()
    assert ({each["name"] for each in made}, {*of_service}) == ({"wire", "http"}, {"wire", "http"})


def test_sglang_is_started_as_an_encoder() -> None:
    made = container(runtime="SGLang", model={"name": "a/b", "revision": "v1", "dtype": "bfloat16"})
    line = " ".join(made["command"])
    assert line.startswith("python3 -m sglang.launch_server --model-path a/b --dtype bfloat16 --encoder-only")
    assert "--revision v1" in line
    assert f"--port {made['ports'][0]['containerPort']}" in line
    # The pod's own address, whether that is IPv4 or IPv6: `0.0.0.0` and `::` are one kind alone to it.
    assert "--host $(POD_IP)" in line
    (address,) = [each for each in made["env"] if each["name"] == "POD_IP"]
    assert address["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert made["image"] == "example.com/sglang:1"
    assert container()["image"] == "example.com/encoder:1"
    assert "--encoder-transfer-backend" not in line
    told = " ".join(container(runtime="SGLang", sglang={"transferBackend": "zmq_to_tokenizer"})["command"])
    assert told.endswith("--encoder-transfer-backend zmq_to_tokenizer")
    assert "command" not in container()
    assert container(image="own:2")["image"] == "own:2"


def test_variables_of_the_pool_stand_and_none_is_named_twice() -> None:
    own = [{"name": "HF_HOME", "value": "/own"}, {"name": "ENCODERFLEET_BIND", "value": "tcp://[::]:5570"}]
    made = container(model={"name": "a/b"}, podTemplate={"env": own})["env"]
    names = [each["name"] for each in made]
    assert len(names) == len(set(names))
    assert made[-2:] == own


def test_a_pod_is_nobody_whatever_its_image_says() -> None:
    assert pod()["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    who = {"runAsUser": 1000, "runAsGroup": 100, "fsGroup": 2000, "supplementalGroups": [44]}
    assert who.items() <= pod(podTemplate={"securityContext": who})["securityContext"].items()


@pytest.mark.parametrize("runtime", ["Native", "SGLang"])
@pytest.mark.parametrize(
    "model", [{"path": "/models/a"}, {"name": "a/b"}, {"name": "a/b", "cache": {"claimName": "w"}}]
)
def test_what_programs_write_by_themselves_goes_where_they_may(runtime: str, model: dict[str, Any]) -> None:
    made = container(runtime=runtime, model=model)
    writable = {each["mountPath"] for each in made["volumeMounts"] if not each.get("readOnly")}
    told = {each["name"]: each["value"] for each in made["env"] if "value" in each}
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert any(told[name] == each or told[name].startswith(f"{each}/") for each in writable), name
    assert told["USER"]
    own = [{"name": "HOME", "value": "/own"}]
    assert env_of(runtime=runtime, model=model, podTemplate={"env": own})["HOME"] == "/own"


# Where pods run.


def terms_of(made: dict[str, Any]) -> list[Any]:
    return list(made["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"])


PINS = [
    {"key": TYPE, "operator": "In", "values": ["gpu"]},
    {"key": "nvidia.com/gpu.product", "operator": "DoesNotExist"},
    {"key": "nvidia.com/gpu.count", "operator": "DoesNotExist"},
]


def test_pods_are_pinned_to_their_shape() -> None:
    assert terms_of(pod()) == [{"matchExpressions": PINS}]


def test_each_alternative_of_the_pool_is_kept_and_narrowed() -> None:
    one = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    other = {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["broken"]}]}
    nodes = [a_node("g", gpus=8, labels={TYPE: "gpu", "zone": "a"})]
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": one}]}
    wish = {
        "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [one, other]}, **preferred},
        "podAntiAffinity": {REQUIRED: [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}]},
    }
    made = pod(nodes, scheduling={"affinity": wish})
    assert terms_of(made) == [
        {"matchExpressions": [*one["matchExpressions"], *PINS]},
        {**other, "matchExpressions": PINS},
    ]
    assert made["affinity"]["podAntiAffinity"] == wish["podAntiAffinity"]
    key = "preferredDuringSchedulingIgnoredDuringExecution"
    assert made["affinity"]["nodeAffinity"][key] == preferred[key]
    # The pool's own is left as it is.
    assert len(one["matchExpressions"]) == 1


def test_an_alternative_that_matches_nothing_does_not_become_one_that_matches_all() -> None:
    one = {"matchExpressions": [{"key": TYPE, "operator": "In", "values": ["gpu"]}]}
    wish = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{}, one]}}}
    empty, narrowed = terms_of(pod(scheduling={"affinity": wish}))
    assert empty == {}
    assert narrowed == {"matchExpressions": [*one["matchExpressions"], *PINS]}


def test_pods_without_a_shape_are_pinned_to_nothing() -> None:
    assert "affinity" not in pod([], resources={"cpus": 4})
    assert "affinity" not in pod(scheduling={"shapeLabels": []})


def test_what_the_pool_says_of_scheduling_is_in_the_pods() -> None:
    asked = {
        "nodeSelector": {TYPE: "gpu"},
        "tolerations": [{"key": "team", "operator": "Exists"}],
        "runtimeClassName": "nvidia",
        "priorityClassName": "high",
    }
    made = pod(scheduling=asked)
    assert made["nodeSelector"] == {TYPE: "gpu"}
    assert (made["runtimeClassName"], made["priorityClassName"]) == ("nvidia", "high")
    assert asked["tolerations"][0] in made["tolerations"]
    bare = pod(resources={"gpus": 0})
    assert (
        not {"nodeSelector", "tolerations", "runtimeClassName", "priorityClassName", "imagePullSecrets"} & bare.keys()
    )


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_taint_of_gpus_is_tolerated_by_pods_that_have_some(gpus: int) -> None:
    theirs = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
    assert (theirs in pod(resources={"gpus": gpus}).get("tolerations", [])) is bool(gpus)
    own = pod(resources={"gpus": gpus}, scheduling={"tolerations": [theirs]})
    assert own["tolerations"] == [theirs]


def test_pods_are_spread_over_zones_and_nodes_where_there_is_room() -> None:
    made = built()["Deployment"]
    constraints = made["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for each in constraints:
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
        assert each["labelSelector"]["matchLabels"] == made["spec"]["selector"]["matchLabels"]


def test_labels_of_the_pool_stand_beside_ours_and_never_over_them() -> None:
    own = {"team": "vision", POOL_LABEL: "x", SHAPE_LABEL: "x", "app.kubernetes.io/managed-by": "x"}
    made = built(podTemplate={"labels": own, "annotations": {"a": "b"}})["Deployment"]
    template = made["spec"]["template"]["metadata"]
    assert template["labels"]["team"] == "vision"
    assert template["labels"][POOL_LABEL] == "vision"
    assert template["labels"][SHAPE_LABEL] == made["metadata"]["labels"][SHAPE_LABEL]
    assert template["labels"]["app.kubernetes.io/managed-by"] == MANAGER
    assert template["annotations"] == {"a": "b"}
    assert "annotations" not in built()["Deployment"]["spec"]["template"]["metadata"]


def test_a_rollout_is_as_the_pool_says() -> None:
    made = built(rollout={"maxSurge": "25%", "maxUnavailable": 0})["Deployment"]["spec"]["strategy"]
    assert made == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
    assert built()["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


# Beside the pods.


@pytest.mark.parametrize(
    ("rollout", "allowed"),
    [
        ({}, 1),
        ({"maxUnavailable": 3}, 3),
        ({"maxUnavailable": "25%"}, "25%"),
        ({"maxSurge": 1, "maxUnavailable": 0}, 1),
        ({"maxSurge": 1, "maxUnavailable": "0%"}, 1),
        # Of a percentage the API rounds up, so of any pods one may go.
        ({"maxUnavailable": "1%"}, "1%"),
    ],
)
def test_a_node_can_always_be_drained(rollout: Any, allowed: Any) -> None:
    made = built(rollout=rollout)["PodDisruptionBudget"]["spec"]
    assert made["maxUnavailable"] == allowed
    assert made["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert made["selector"] == {"matchLabels": {POOL_LABEL: "vision"}}


WIRE = {"port": "wire", "protocol": "TCP"}
WIRES = [WIRE, {"port": "sglang", "protocol": "TCP"}]
CONSUMERS = [
    {"service": {"name": "vlm"}},
    {"service": {"name": "vlm", "namespace": "chat"}},
    {"selector": {"matchLabels": {"app": "vlm"}}},
    {"selector": {"matchLabels": {"app": "vlm"}}, "namespace": "chat"},
]


@pytest.mark.parametrize(("runtime", "port"), [("Native", "sglang"), ("SGLang", "wire")])
def test_language_servers_are_let_in_by_themselves(runtime: str, port: str) -> None:
    made = built(runtime=runtime, consumers=CONSUMERS, networkPolicy={"mode": "Restrict"})["NetworkPolicy"]["spec"]
    chat = {"matchLabels": {"kubernetes.io/metadata.name": "chat"}}
    vlm = {"matchLabels": {"app": "vlm"}}
    assert made["ingress"][1] == {
        "from": [
            {"podSelector": {}},
            {"namespaceSelector": chat, "podSelector": {}},
            {"podSelector": vlm},
            {"namespaceSelector": chat, "podSelector": vlm},
        ],
        "ports": [{"port": port, "protocol": "TCP"}],
    }
    assert made["ingress"][0]["ports"] == (WIRES if runtime == "Native" else [WIRE])
    assert "NetworkPolicy" not in built(consumers=CONSUMERS)


def test_who_reaches_the_encoders_is_restricted_where_the_pool_says_so() -> None:
    assert "NetworkPolicy" not in built()
    made = built(networkPolicy={"mode": "Restrict"})["NetworkPolicy"]["spec"]
    assert made["policyTypes"] == ["Ingress"]
    assert made["podSelector"] == {"matchLabels": {POOL_LABEL: "vision"}}
    wire, rest = made["ingress"]
    assert wire == {"from": [{"podSelector": {}}], "ports": [WIRE]}
    assert rest == {"ports": [{"port": "http", "protocol": "TCP"}]}
    peers = [{"namespaceSelector": {"matchLabels": {"team": "serving"}}}]
    wire, _ = built(networkPolicy={"mode": "Restrict", "consumers": peers})["NetworkPolicy"]["spec"]["ingress"]
    assert wire["from"] == peers


def test_a_program_with_one_port_has_one_rule() -> None:
    (only,) = built(runtime="SGLang", networkPolicy={"mode": "Restrict"})["NetworkPolicy"]["spec"]["ingress"]
    assert only["ports"] == [{"port": "wire", "protocol": "TCP"}]


BEHAVIOR = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Min",
        "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
    },
    "scaleDown": {"selectPolicy": "Disabled"},
}
TARGET = {"apiVersion": "encoderfleet.io/v1alpha1", "kind": "EncoderPool", "name": "vision"}


def test_a_horizontal_autoscaler_scales_the_pool() -> None:
    scaling = {"mode": "Auto", "backend": "HPA", "minReplicas": 2, "maxReplicas": 9, "behavior": BEHAVIOR}
    made = built(autoscaling=scaling)["HorizontalPodAutoscaler"]["spec"]
    assert made["scaleTargetRef"] == TARGET
    assert (made["minReplicas"], made["maxReplicas"]) == (2, 9)
    assert made["behavior"] == BEHAVIOR
    (metric,) = made["metrics"]
    assert metric["external"]["metric"] == {
        "name": "encoderfleet_pool_needed_replicas",
        "selector": {"matchLabels": {"pool_namespace": "team", "pool": "vision"}},
    }
    assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "1"}


def test_keda_scales_the_pool() -> None:
    scaling = {
        "mode": "Auto",
        "backend": "KEDA",
        "prometheusAddress": "http://prometheus:9090",
        "maxReplicas": 9,
        "behavior": BEHAVIOR,
        "fallback": {"replicas": 4},
    }
    made = built(autoscaling=scaling)["ScaledObject"]["spec"]
    assert made["scaleTargetRef"] == TARGET
    assert (made["minReplicaCount"], made["maxReplicaCount"]) == (1, 9)
    assert made["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == BEHAVIOR
    # The pool's is in the number that is followed; KEDA's own would shrink a larger pool.
    assert "fallback" not in made
    (trigger,) = made["triggers"]
    assert trigger["metadata"] == {
        "serverAddress": "http://prometheus:9090",
        "query": 'max(encoderfleet_pool_needed_replicas{pool_namespace="team",pool="vision"})',
        "threshold": "1",
        "ignoreNullValues": "false",
    }


@pytest.mark.parametrize(("replicas", "paused"), [(0, "true"), (1, None), (3, None)])
def test_keda_leaves_a_pool_without_replicas_alone(replicas: int, paused: str | None) -> None:
    """It would take 0 for fewer than minReplicaCount."""
    scaling = {"mode": "Auto", "backend": "KEDA", "prometheusAddress": "http://prometheus:9090"}
    made = built(replicas=replicas, autoscaling=scaling)["ScaledObject"]["metadata"]
    assert made["annotations"].get("autoscaling.keda.sh/paused") == paused


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        ({}, {}),
        ({"scaleUp": {}}, {}),
        ({"scaleDown": {"stabilizationWindowSeconds": 0}}, {"scaleDown": {"stabilizationWindowSeconds": 0}}),
        ({"scaleUp": {"selectPolicy": "Max"}}, {}),
    ],
)
def test_what_behavior_does_not_say_is_left_to_the_autoscaler(behavior: Any, expected: Any) -> None:
    scaling = {"mode": "Auto", "backend": "HPA", "behavior": behavior}
    assert built(autoscaling=scaling)["HorizontalPodAutoscaler"]["spec"]["behavior"] == expected


@pytest.mark.parametrize(
    "scaling",
    [{"mode": "Off", "backend": "HPA"}, {"mode": "Advise", "backend": "HPA"}, {"mode": "Auto", "backend": "Builtin"}],
)
def test_an_autoscaler_is_made_where_it_is_to_scale(scaling: Any) -> None:
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & built(autoscaling=scaling).keys()


@pytest.mark.parametrize(("backend", "kind"), [("HPA", "HorizontalPodAutoscaler"), ("KEDA", "ScaledObject")])
@pytest.mark.parametrize("runtime", ["Native", "SGLang"])
def test_an_autoscaler_follows_the_load_of_any_program(runtime: str, backend: str, kind: str) -> None:
    scaling = {"mode": "Auto", "backend": backend, "prometheusAddress": "http://prometheus:9090"}
    assert kind in built(runtime=runtime, autoscaling=scaling)


def test_prometheus_finds_every_encoder() -> None:
    made = built(monitoring={"labels": {"release": "prometheus", POOL_LABEL: "other"}})["PodMonitor"]
    assert made["metadata"]["labels"]["release"] == "prometheus"
    assert made["metadata"]["labels"][POOL_LABEL] == "vision"
    assert made["spec"]["selector"] == {"matchLabels": {POOL_LABEL: "vision"}}
    (end,) = made["spec"]["podMetricsEndpoints"]
    assert (end["port"], end["path"]) == ("http", "/metrics")
    (rule,) = end["relabelings"]
    # As Prometheus writes the pod's label `encoderfleet.io/pool`.
    assert rule == {"sourceLabels": ["__meta_kubernetes_pod_label_encoderfleet_io_pool"], "targetLabel": "pool"}
    assert "PodMonitor" not in built(monitoring={"podMonitor": "Off"})


def test_kinds_that_the_cluster_does_not_have_are_not_made() -> None:
    scaling = {"mode": "Auto", "backend": "KEDA", "prometheusAddress": "http://prometheus:9090"}
    made = desired(seen(a_cluster_pool(autoscaling=scaling), NODES)).objects
    assert not {"PodMonitor", "ScaledObject"} & {body["kind"] for body in made}


def test_pods_have_an_identity_that_may_do_nothing() -> None:
    made = built()
    assert made["ServiceAccount"]["automountServiceAccountToken"] is False
    assert (
        made["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"]
        == made["ServiceAccount"]["metadata"]["name"]
    )
