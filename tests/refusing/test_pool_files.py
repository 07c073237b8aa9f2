import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import models

from fleet_operator.api import EncoderPool, PoolError, load_pool, parse_pool, schema
from fleet_operator.api.load import read_pool, read_stored

HEAD = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata:
  name: vision
"""
GOOD = HEAD + "spec:\n  model:\n    path: m\n"


def wrong(text: str) -> list[str]:
    """Lines of what is wrong with a file."""
    with pytest.raises(PoolError) as caught:
        parse_pool(text, Path("/pools"))
    return str(caught.value).splitlines()


def wrong_spec(spec: str) -> list[str]:
    """Likewise, with the fields of the spec in flow style."""
    return wrong(f"{HEAD}spec: {{{spec}}}\n")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "spec.model: is missing. The model whose encoder is served: its directory, or its name."),
        ("model: {}", "spec.model: needs path (a model directory) or name (of the Hugging Face hub)"),
        ("model: {path: a, name: b}", "spec.model: has both path and name: remove one of them"),
        ("model: {path: ''}", "spec.model.path: must not be empty"),
        ("model: a", 'spec.model: must be a mapping of fields, got "a"'),
        ("model: [a]", "spec.model: must be a mapping of fields, got a list"),
        ("model: {path: 5}", "spec.model.path: must be text, got 5: put it in quotes"),
        ('model: {path: "a\\nb"}', 'spec.model.path: must be a path without control characters, got "a\\nb"'),
        ("model: {name: a/b/c}", "spec.model.name: must be a name like Qwen/Qwen2.5-VL-7B-Instruct, got"),
        ("model: {path: a, revision: main}", "spec.model.revision: belongs to model.name: a directory"),
        ("model: {name: a/b, revision: 1.5}", "spec.model.revision: must be text, got 1.5: put it in quotes"),
        ("model: {path: a, dtype: Float32}", "spec.model.dtype: must be auto, float32, bfloat16 or float16"),
        ("model: {path: a, dtype: Float32}", "; did you mean float32?"),
    ],
)
def test_a_pool_has_one_model(spec: str, problem: str) -> None:
    (line,) = wrong_spec(spec)
    assert problem in line


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("modalities: [text]", 'modalities[0]: must be image, video or audio, got "text"'),
        ("modalities: [image, image]", "modalities: names image twice: remove one"),
        ("modalities: image", 'modalities: must be a list, got "image"'),
        ("replicas: -1", "replicas: must be at least 0, got -1"),
        ("replicas: 100001", "replicas: must be at most 100000, got 100001"),
        ("replicas: '2'", 'replicas: must be a whole number, got "2": leave the quotes out'),
        ("replicas: 2.0", "replicas: must be a whole number, got 2.0"),
        ("replicas: true", "replicas: must be a whole number, got true"),
        ("resources: {gpus: -1}", "resources.gpus: must be at least 0, got -1"),
        ("resources: {cpus: 0}", "resources.cpus: must be more than 0, got 0"),
        ("resources: {cpus: 1.5}", 'resources.cpus: must be a quantity: write the number as text, "1.5"'),
        ("resources: {memory: 5Q}", 'resources.memory: "5Q" is not a quantity such as'),
        ("resources: {memory: 500m}", "resources.memory: must be whole bytes, got 500m"),
        ("resources: {memory: [1]}", "resources.memory: must be a quantity such as"),
        ("resources: {memory: 0}", "resources.memory: must be at least 1, got 0"),
        ("threads: {policy: auto}", 'threads.policy: must be Auto or Manual, got "auto"; did you mean Auto?'),
        ("threads: {intraOpThreads: 2}", "threads.intraOpThreads: is ignored under policy: Auto"),
        ("threads: {policy: Manual, ffmpegThreads: 0}", "threads.ffmpegThreads: must be at least 1, got 0"),
        ("batching: {maxPatches: 0}", "batching.maxPatches: must be at least 1, got 0"),
        ("batching: {maxWaitMilliseconds: 10001}", "batching.maxWaitMilliseconds: must be at most 10000"),
        ("admission: {maxPendingBytes: 0}", "admission.maxPendingBytes: must be at least 1, got 0"),
        ("media: {maxBytes: -1Ki}", "media.maxBytes: must be at least 1, got -1024"),
        ("media: {allowPrivateNetworks: 1}", "media.allowPrivateNetworks: must be true or false, got 1"),
        ("media: {allowedDomains: ['https://a.b']}", "media.allowedDomains[0]: must be a lower-case host like"),
        ("media: {allowedDomains: ['a.b,c.d']}", "media.allowedDomains[0]: must be a lower-case host like"),
        ("cache: {size: -1}", "cache.size: must be at least 0, got -1"),
        ("lifecycle: {drainSeconds: 1h}", 'lifecycle.drainSeconds: must be a whole number, got "1h"'),
    ],
)
def test_each_rule_says_what_to_write(section: str, problem: str) -> None:
    (line,) = wrong_spec(f"model: {{path: a}}, {section}")
    assert line.startswith(f"spec.{problem}")


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("media: {maxByte: 1}", "spec.media.maxByte: is not a field; did you mean maxBytes?"),
        ("media: {max_bytes: 1}", "spec.media.max_bytes: is not a field; did you mean maxBytes?"),
        ("media: {MaxBytes: 1}", "spec.media.MaxBytes: is not a field; did you mean maxBytes?"),
        ("maxFrames: 1", "spec.maxFrames: is not a field; did you mean spec.media.maxFrames?"),
        (
            "lifecycle: {zzz: 1}",
            "spec.lifecycle.zzz: is not a field; there are drainSeconds, preStopSeconds, terminationGracePeriodSeconds",
        ),
        ("thread: {policy: Auto}", "spec.thread: is not a field; did you mean threads?"),
    ],
)
def test_a_misspelt_field_gets_a_suggestion(spec: str, hint: str) -> None:
    assert wrong_spec(f"model: {{path: a}}, {spec}") == [hint]


def test_all_problems_come_at_once() -> None:
    lines = wrong(
        """\
apiVersion: v1
kind: Pool
metadata: {name: My_Pool, labels: {tier: 1}}
spec:
  model: {dtype: int8}
  replicas: many
  resources: {gpus: x, cpus: y, memory: z}
  threads: {preprocessWorkers: 1, videoDecodeThreads: 2}
  media: {maxBytes: 0, colour: red}
  cache: 1Gi
"""
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "apiVersion",
        "kind",
        "metadata.name",
        "metadata.labels.tier",
        "spec.model",
        "spec.model.dtype",
        "spec.replicas",
        "spec.resources.gpus",
        "spec.resources.cpus",
        "spec.resources.memory",
        "spec.threads.preprocessWorkers",
        "spec.threads.videoDecodeThreads",
        "spec.media.maxBytes",
        "spec.media.colour",
        "spec.cache",
    ]


@pytest.mark.parametrize(
    "path",
    # The entries of a list are mappings themselves.
    [path for path, field in schema.walk(EncoderPool) if schema.section(field) is None and "[]" not in path],
)
def test_no_field_takes_a_list_of_mappings(path: str) -> None:
    keys = path.split(".")
    text = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(keys)) + f"{'  ' * len(keys)}- {{a: 1}}\n"
    assert any(line.startswith(path) for line in wrong(text))


@pytest.mark.parametrize("name", ["Vision", "1st", "a_b", "-a", "a-", "a.b", "a" * 51, "ä"])
def test_a_name_must_do_for_kubernetes(name: str) -> None:
    (line,) = wrong(GOOD.replace("vision", name))
    assert line.startswith("metadata.name: must")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", "line 1, column 6: "),
        ("a: 1\n\tb: 2\n", "line 2, column 1: "),
        ("a: 'x\n", "line 2, column 1: "),
        (GOOD + "kind: EncoderPool\n", "line 8, column 1: kind is given twice"),
        (GOOD.replace("path: m", "path: m\n    path: n"), "line 8, column 5: path is given twice"),
        ("on: 1\n", "line 1, column 1: a field's name must be text"),
        ("a: *b\n", "line 1, column 4: "),
        ("a: !!python/name:os.system\n", "line 1, column 4: "),
        ("a: 1\nb: \x07\n", "line 2: character 0x07 is not allowed"),
        ("[" * 5000, "the file: is not YAML that can be read"),
        ("text", 'the document: must be a mapping of fields, got "text"'),
        ("", "the file: has nothing: exactly one EncoderPool is expected"),
        ("---\n---\n", "the file: has nothing"),
        ("kind: A\n---\nkind: B\n", "the file: has no document of kind EncoderPool: exactly one"),
        (f"{GOOD}---\n{GOOD}", "the file: has 2 EncoderPools: exactly one EncoderPool is expected"),
    ],
)
def test_what_is_no_pool_file_is_told_with_its_place(text: str, problem: str) -> None:
    (line,) = wrong(text)
    assert line.startswith(problem)


def test_aliases_cannot_make_a_small_file_enormous() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    lines = wrong("a0: &a0 [x]\n" + levels)
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\xff\xfe\x00", "is not UTF-8 text"), (b"#" * (1 << 20) + b"##", "is over 1024 KiB: that is not a pool file")],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "pool.yaml"
    path.write_bytes(content)
    with pytest.raises(PoolError) as caught:
        load_pool(path)
    assert str(caught.value) == f"{path}: {problem}"


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(PoolError, match="cannot be read"):
        load_pool(tmp_path / name)


@given(st.text(max_size=200) | st.text("{}[]:,&*!|>-?#'\"\n abc012", max_size=60))
def test_any_text_is_a_pool_or_a_pool_error(text: str) -> None:
    with pytest.raises(PoolError) as caught:
        parse_pool(text, Path("/"))
    assert caught.value.problems
    assert all(problem.path and problem.message for problem in caught.value.problems)


def test_a_file_is_read_whatever_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pools"
    folder.mkdir()
    (folder / "pool.yaml").write_text(HEAD + "spec: {model: {path: ../models/m}, media: {localRoot: media}}\n")
    monkeypatch.chdir(tmp_path)
    spec = load_pool(os.path.join("pools", "pool.yaml")).spec
    assert spec.model.path == str(tmp_path / "models" / "m")
    assert spec.media.local_root == str(folder / "media")
    (folder / "pool.yaml").write_text(HEAD + "spec: {model: {path: /m}, media: {localRoot: /}}\n")
    spec = load_pool(Path("pools/pool.yaml")).spec
    assert (spec.model.path, spec.media.local_root) == ("/m", "/")


def test_what_kubectl_prints_is_a_pool_file() -> None:
    extra = "  uid: 1-2\n  resourceVersion: '5'\n  generation: 1\n  managedFields: [{manager: kubectl}]\n"
    pool = parse_pool(GOOD.replace("spec:", f"{extra}status: {{ready: 1}}\nspec:"), Path("/"))
    assert pool.metadata.name == "vision"


def test_whatever_kubernetes_keeps_of_every_object_is_no_field_that_is_wrong() -> None:
    everything = dict.fromkeys(models.V1ObjectMeta.model_json_schema()["properties"], "any")
    assert {"generateName", "managedFields"} <= everything.keys()
    meta = {**everything, "name": "vision", "labels": {"a": "b"}, "annotations": {"a": "b"}}
    body = {**yaml.safe_load(GOOD), "metadata": meta, "status": {}}
    assert read_pool(body) == read_stored(body)
    assert read_pool(body).metadata.labels == {"a": "b"}


def test_what_a_later_kubernetes_keeps_is_read_from_it_but_in_a_file_is_a_slip() -> None:
    body = yaml.safe_load(GOOD.replace("name: vision", "name: vision\n  lables: {a: b}"))
    assert read_stored(body).metadata.name == "vision"
    with pytest.raises(PoolError, match="did you mean"):
        read_pool(body)


def test_documents_of_other_kinds_are_passed_over() -> None:
    pool = parse_pool(f"kind: ConfigMap\ndata: {{1a: x}}\n---\n{GOOD}---\nkind: Secret\n---\n", Path("/"))
    assert pool.metadata.name == "vision"


def test_a_field_without_a_value_has_its_default() -> None:
    assert parse_pool(f"{GOOD}  threads:\n  media:\n    maxBytes:\n", Path("/")) == parse_pool(GOOD, Path("/"))


def test_defaults_and_merges_of_yaml_work() -> None:
    text = GOOD + "  media: {<<: {maxFrames: 4}, maxPixels: 9}\n"
    media = parse_pool(text, Path("/")).spec.media
    assert (media.max_frames, media.max_pixels) == (4, 9)
