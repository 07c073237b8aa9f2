"""What images install is what was tested."""

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
REQUIREMENTS = REPOSITORY / "requirements"


def pins(name: str) -> set[str]:
    """`name==version`, without markers and hashes."""
    return set(re.findall(r"^[\w.-]+==[^ ;\\\n]+", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["operator", "encoder", "build"])
def test_an_image_has_the_versions_of_the_tests(name: str) -> None:
    assert pins(name) <= pins("dev")


@pytest.mark.parametrize("name", ["operator", "encoder", "build"])
def test_every_package_of_an_image_is_pinned_by_hash(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert len(blocks) == len(pins(name)) > 0
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_operator_has_no_pytorch() -> None:
    names = {pin.partition("==")[0] for pin in pins("operator")}

    assert {"kopf", "kubernetes", "prometheus-client"} <= names
    assert names.isdisjoint({"torch", "numpy", "pyzmq", "transformers"})


def test_what_builds_an_image_can_build_this_package() -> None:
    names = {pin.partition("==")[0] for pin in pins("build")}
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]

    assert {"uv", *wanted} <= names
