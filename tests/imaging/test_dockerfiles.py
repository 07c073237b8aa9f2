"""How images are built: from nothing but what is pinned, and so that large layers are made once."""

import re
import shlex

import pytest
from tests.node.images import REPOSITORY, sources

IMAGES = ("operator", "encoder")


def instructions(image: str) -> list[list[str]]:
    """Of the Dockerfile, each as its words."""
    text = (REPOSITORY / image / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [shlex.split(line) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]


def installations(image: str) -> list[str]:
    """Each command of pip or uv that brings or builds packages."""
    commands = [" ".join(words) for words in instructions(image) if words[0] == "RUN"]
    if image == "encoder":
        script = (REPOSITORY / "encoder" / "install-packages").read_text()
        (install,) = re.findall(r"^install=\((.*)\)$", script, re.MULTILINE)
        commands += script.replace('"${install[@]}"', install).replace(f"install=({install})", "").splitlines()
    parts = [part for command in commands for part in re.split(r"&&|;;", command)]
    return [part for part in parts if re.search(r"\bpip\"? (install|wheel) |\" pip install ", part)]


@pytest.mark.parametrize("image", IMAGES)
def test_what_labels_say_changes_no_layer(image: str) -> None:
    words = instructions(image)
    final = max(number for number, each in enumerate(words) if each[0] == "FROM")
    layers = max(number for number, each in enumerate(words) if each[0] in ("RUN", "COPY", "ADD"))

    assert [each for each in words[final:layers] if each[0] in ("ARG", "LABEL")] == []
    assert {each[1].partition("=")[0] for each in words[layers:] if each[0] == "ARG"} >= {"VERSION", "REVISION"}


@pytest.mark.parametrize(("image", "count"), [("operator", 4), ("encoder", 7)])
def test_packages_come_by_their_hash_or_from_nowhere(image: str, count: int) -> None:
    found = installations(image)
    # PyTorch from an index that whoever builds names: its files are others in each.
    loose = [each for each in found if "--require-hashes" not in each and "--no-index" not in each]

    assert len(found) == count, found
    assert len(loose) == (image == "encoder"), loose
    assert all('--index-url "$TORCH_INDEX" --no-deps "$(pin torch)"' in each for each in loose)


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_is_built_with_what_nobody_pinned(image: str) -> None:
    """A source that has the right hash still fetches whatever builds it."""
    for each in installations(image):
        assert re.search(r"--only-binary=:all:|--no-build\b(?!-)|--no-build-isolation|\.whl$", each), each


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_built_anew_when_what_it_is_made_of_changes(image: str) -> None:
    copied = [each[1:-1] for each in instructions(image) if each[0] == "COPY" and not each[1].startswith("--from")]
    names = {name for each in copied for name in each} - {"README.md"}
    files = {
        file for name in names for file in (REPOSITORY / name, *(REPOSITORY / name).rglob("*.py")) if file.is_file()
    }

    assert f"requirements/{image}.txt" in names
    assert files <= set(sources(image))
