"""What images install is what was tested."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pins(name: str) -> set[str]:
    """`name==version`, without markers and hashes."""
    return set(re.findall(r"^[\w.-]+==[^ ;\\\n]+", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize("image", ["operator", "encoder"])
def test_an_image_has_the_versions_of_the_tests(image: str) -> None:
    assert pins(image) <= pins("dev")


@pytest.mark.parametrize("image", ["operator", "encoder"])
def test_every_package_of_an_image_is_pinned_by_hash(image: str) -> None:
    text = (REQUIREMENTS / f"{image}.txt").read_text()
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]

    assert len(blocks) == len(pins(image))
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_operator_has_no_pytorch() -> None:
    names = {pin.partition("==")[0] for pin in pins("operator")}

    assert {"kopf", "kubernetes", "prometheus-client"} <= names
    assert names.isdisjoint({"torch", "numpy", "pyzmq", "transformers"})


@pytest.mark.parametrize("image", ["operator", "encoder"])
def test_an_image_is_made_by_the_uv_of_the_tests(image: str) -> None:
    (version,) = re.findall(r"^ARG UV=(.+)$", (REQUIREMENTS.parent / image / "Dockerfile").read_text(), re.MULTILINE)

    assert f"uv=={version}" in pins("dev")
