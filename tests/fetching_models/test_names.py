"""What is a name of the hub, and what is a directory."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fleet_encoder.runner.hub import is_hub_name
from fleet_operator.api.fields import HubName


@pytest.mark.parametrize("text", ["Qwen/Qwen2.5-VL-7B-Instruct", "gpt2", "a/b", "0.x_y/z-1"])
def test_names(text: str) -> None:
    assert is_hub_name(text)


@pytest.mark.parametrize(
    "text",
    ["", "/models/a", "./a", "../a", "~/a", ".a/b", "a/", "a//b", "a/b/c", "a b", "a/.b", "a/b\n", "ä/b", "-a/b"],
)
def test_paths_and_slips(text: str) -> None:
    assert not is_hub_name(text)


@given(st.text(st.sampled_from("aZ9-._/ \n~é"), max_size=8))
def test_an_encoder_takes_what_a_pool_may_say(text: str) -> None:
    try:
        TypeAdapter(HubName).validate_python(text)
        valid = True
    except ValidationError:
        valid = False
    assert is_hub_name(text) is (valid and not Path(text).is_dir())


def test_a_directory_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_name("org/model")
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert not is_hub_name("org/model")
    assert not is_hub_name("org")
