"""`docs/pool-file.md` and `examples/` say what the code does."""

import re
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Le, MaxLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fleet_operator.api import EncoderPool, load_pool, parse_pool
from fleet_operator.api.schema import choices, section, walk
from fleet_operator.plan import NodeShape, plan
from fleet_operator.quantity import format_quantity, parse_quantity
from planning.pools import a_pool

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "pool-file.md").read_text()
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)}
FIELDS = {path: field for path, field in walk(EncoderPool) if section(field) is None}
WORLD = {"ENCODERFLEET_REPLICA", "ENCODERFLEET_BIND", "ENCODERFLEET_HTTP", "ENCODERFLEET_LOG_FORMAT"}
WORLD |= {"ENCODERFLEET_SGLANG_HTTP"}
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.yaml"))
FOR_A_CLUSTER = ("cluster-pool.yaml", "first-pool.yaml", "sglang-pool.yaml")


def in_words(field: FieldInfo) -> set[str]:
    """How the page may write the default."""
    default: Any = field.default
    if field.default_factory is not None or default == ():
        return {"none", "all"}
    if isinstance(default, tuple):
        return {", ".join(default)}
    if default is PydanticUndefined:
        return {"required"}
    if default is None:
        return {"unset", "derived"}
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, int):
        return {str(default), format_quantity(default, binary=True)}
    return {str(default)}


def test_the_page_has_every_field_and_no_other() -> None:
    assert set(ROWS) == set(FIELDS)


@pytest.mark.parametrize("path", FIELDS)
def test_default_bounds_and_words_are_those_of_the_code(path: str) -> None:
    field = FIELDS[path]
    values, default, meaning = ROWS[path]
    assert default in in_words(field)
    assert meaning.endswith(".")
    for word in choices(field):
        assert re.search(rf"\b{re.escape(word)}\b", values)
    bounds = [str(mark.ge) for mark in field.metadata if isinstance(mark, Ge)]
    bounds += [str(mark.le) for mark in field.metadata if isinstance(mark, Le)]
    if bounds:
        assert values.startswith(" to ".join(bounds))
    if "quantity" in values and default != "unset":
        assert parse_quantity(default) == field.default


def test_every_variable_of_a_replica_is_documented() -> None:
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", PAGE)) - {"BUSY", "PASSIVE", "INCOMPATIBLE", "KEDA"}
    made = {variable.name for variable in plan(a_pool(), NodeShape(4, 1)).env}
    assert documented - {"SGLANG_ENCODER_"} == made | WORLD


def test_every_field_describes_itself() -> None:
    for path, field in walk(EncoderPool):
        assert field.description, path
        assert field.description.endswith("."), path
        assert "\n" not in field.description, path


def test_every_text_and_list_is_bounded() -> None:
    spec = EncoderPool.model_json_schema()["$defs"]
    for name, part in spec.items():
        for key, field in part.get("properties", {}).items():
            for kind in (field, *field.get("anyOf", [])):
                if name == "Metadata" or kind.get("x-kubernetes-int-or-string"):
                    break
                assert kind.get("type") != "number", (name, key)
                assert kind.get("type") != "string" or kind.keys() & {"maxLength", "enum", "const"}, (name, key)
                assert kind.get("type") != "array" or "maxItems" in kind, (name, key)
                assert kind.get("type") != "integer" or {"minimum", "maximum"} <= kind.keys(), (name, key)


def test_lists_hold_as_many_as_documented() -> None:
    (most,) = [mark.max_length for mark in FIELDS["spec.media.allowedDomains"].metadata if isinstance(mark, MaxLen)]
    assert f"at most {most}" in ROWS["spec.media.allowedDomains"][0]


def test_the_shortest_pool_of_the_page_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert parse_pool(text, Path("/home/me")).spec.model.path == "/home/me/models/qwen2_5_vl"


def test_there_are_examples() -> None:
    assert [path.name for path in EXAMPLES] == [
        "audio-pool.yaml",
        "cluster-pool.yaml",
        "cpu-pool.yaml",
        "first-pool.yaml",
        "pool.yaml",
        "sglang-pool.yaml",
    ]


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.name not in FOR_A_CLUSTER], ids=lambda path: path.name
)
def test_an_example_plans_without_a_warning_where_it_belongs(path: Path) -> None:
    pool = load_pool(path)
    assert pool.spec.model.path is not None
    assert Path(pool.spec.model.path).parent == REPOSITORY / "models"
    assert plan(pool, NodeShape(16, 0 if pool.spec.resources.gpus == 0 else 2)).warnings == ()
    assert plan(pool, NodeShape(1, 0)).cpus_per_replica == 1


def test_what_an_example_writes_out_is_the_default() -> None:
    spec, default = load_pool(REPOSITORY / "examples" / "pool.yaml").spec, a_pool().spec
    for name in ("threads", "batching", "admission", "media", "cache", "lifecycle"):
        assert getattr(spec, name) == getattr(default, name)
