"""The definition: its files, its schema, its defaults."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane

from fleet_cli.crd import as_yaml
from fleet_operator.api import EncoderPool, parse_pool
from fleet_operator.api.borrowed import KINDS
from fleet_operator.kube.kinds import kind_schema
from operating.operator_process import Pools

REPOSITORY = Path(__file__).parents[2]
FILES = ("crds/encoderpools.yaml", "charts/encoder-fleet/crds/encoderpools.yaml")
NAME = "encoderpools.encoderfleet.io"
EVERY_OBJECT_HAS = {"apiVersion", "kind", "metadata"}
SHORTEST = """\
apiVersion: encoderfleet.io/v1alpha1
kind: EncoderPool
metadata:
  name: shortest
spec:
  model:
    path: /models/vl
"""
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def schema() -> dict[str, Any]:
    (version,) = yaml.safe_load(as_yaml())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def walk(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and schema of each field; entries of lists end in `[]`, values of maps in `{}`."""
    for name, each in node.get("properties", {}).items():
        if path or name not in EVERY_OBJECT_HAS:
            yield f"{path}.{name}", each
            yield from walk(each, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield f"{path}{mark}", node[key]
            yield from walk(node[key], f"{path}{mark}")


NODES = dict(walk(schema()))


@pytest.mark.parametrize("path", FILES)
def test_the_files_are_what_the_command_prints(path: str) -> None:
    assert (REPOSITORY / path).read_text() == as_yaml(), f"{path} is not of this version: make crds"


def test_every_field_has_a_description() -> None:
    fields = {path: node for path, node in NODES.items() if not path.endswith(("[]", "{}"))}
    assert len(fields) > 200
    assert [path for path, node in fields.items() if not node.get("description")] == []


def test_everything_has_a_type_and_a_bound() -> None:
    wrong = []
    for path, node in NODES.items():
        kind = node.get("type", "either" if node.get("x-kubernetes-int-or-string") else None)
        bounded = {
            "string": node.keys() & {"maxLength", "enum"},
            "either": "maxLength" in node,
            "array": "maxItems" in node,
            "integer": {"minimum", "maximum"} <= node.keys(),
            "object": "properties" in node or "maxProperties" in node,
            "boolean": True,
        }
        if not bounded.get(str(kind)):
            wrong.append(f"{path} ({kind})")
    assert wrong == []


def test_no_number_has_a_fraction() -> None:
    assert [path for path, node in NODES.items() if node.get("type") == "number"] == []


def test_the_api_server_finds_it_structural(control_plane: ControlPlane, definition: None) -> None:
    found = yaml.safe_load(control_plane.kubectl("get", "crd", NAME, "-o", "yaml"))
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}  # and no NonStructuralSchema
    assert not found["spec"].get("preserveUnknownFields")


def test_a_client_side_apply_can_keep_it(control_plane: ControlPlane, definition: None) -> None:
    """kubectl keeps what it applied in an annotation, which has 256 KiB at most."""
    control_plane.kubectl("apply", "--dry-run=server", "-f", str(REPOSITORY / FILES[0]))


def without_empty_maps(value: Any) -> Any:
    if isinstance(value, dict):
        inside = {key: without_empty_maps(each) for key, each in value.items()}
        return {key: each for key, each in inside.items() if each != {}}
    return value


def test_the_defaults_are_those_of_the_pool_file(pools: Pools) -> None:
    pools.kubectl("apply", "-f", "-", input=SHORTEST)
    there = pools.get("encp", "shortest")
    assert there is not None
    pool = parse_pool(SHORTEST, Path("/"))
    read = pool.spec.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert there["spec"] == without_empty_maps(read)


def test_what_the_api_server_gives_is_a_pool_file(pools: Pools) -> None:
    pools.kubectl("apply", "-f", "-", input=SHORTEST.replace("shortest", "printed"))
    printed = parse_pool(pools.kubectl("get", "encp", "printed", "-o", "yaml"), Path("/"))
    assert isinstance(printed, EncoderPool)
    assert printed.spec == parse_pool(SHORTEST, Path("/")).spec


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_borrowed_kinds_have_the_fields_of_kubernetes(kind: str) -> None:
    """What a pool file's reader knows of them is what the schema has."""
    fields, required = KINDS[kind]
    made = [node for path, node in NODES.items() if "spec" in path and set(node.get("properties", ())) == set(fields)]
    assert made, f"no field of the schema has {sorted(fields)}"
    theirs = kind_schema(kind)
    assert set(theirs["properties"]) == set(fields)
    assert {name: TYPES[each.get("type", "object")] for name, each in made[0]["properties"].items()} == fields
    assert sorted(made[0].get("required", ())) == sorted(required)
