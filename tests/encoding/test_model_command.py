"""`encoderfleet model` writes models that transformers loads, and refuses in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2AudioForConditionalGeneration

from fleet_cli.main import main
from fleet_encoder.families import FAMILIES, family_for


def command(*words: object) -> Result:
    return CliRunner().invoke(main, ["model", *map(str, words)])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_new_models_are_small_and_load(family: str, tmp_path: Path) -> None:
    model = tmp_path / "some" / "model"
    written = command("new", "--family", family, model)
    assert written.exit_code == 0
    assert f"a random {family} model" in written.output
    assert family_for(model) is FAMILIES[family]
    assert sum(path.stat().st_size for path in model.iterdir()) < 60_000_000
    assert AutoConfig.from_pretrained(model).architectures[0] in FAMILIES[family].architectures
    kind = Qwen2AudioForConditionalGeneration if family == "qwen2_audio" else AutoModelForImageTextToText
    _, report = kind.from_pretrained(model, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]


def test_list_names_all() -> None:
    shown = command("list")
    assert shown.exit_code == 0
    for name, family in FAMILIES.items():
        (line,) = [line for line in shown.output.splitlines() if line.split()[0] == name]
        for word in (*family.architectures, *family.modalities):
            assert word in line


def test_refusals_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for words, message in (
        (("--family", "qwen2_5_vl", tmp_path / "full"), "full is not empty"),
        (("--family", "qwen2_5_vl", tmp_path / "file"), "file"),
        (("--family", "qwen2_5_vl", tmp_path / "file" / "below"), "cannot write"),
        (("--family", "clip", tmp_path / "new"), "'clip' is not served; choose from qwen2_vl"),
    ):
        refused = command("new", *words)
        assert refused.exit_code != 0
        assert message in refused.output.splitlines()[-1]
        assert isinstance(refused.exception, SystemExit)  # nothing that would print a traceback
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]
    assert (tmp_path / "full" / "precious").read_text() == "kept"


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    limited = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -f 10000; exec "$@"',
            "limited",
            sys.executable,
            "-c",
            "from fleet_cli.main import main; main()",
        ]
        + ["model", "new", "--family", "qwen2_audio", str(tmp_path / "model")],
        capture_output=True,
        text=True,
    )
    assert limited.returncode == 1
    assert limited.stderr.splitlines()[-1].startswith("Error: cannot write")
    assert list(tmp_path.iterdir()) == []
