"""A wrong setting ends in one clear line; a number set by hand is honoured, and said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartEncoder
from fleet_client.protocol import Status
from peer import Peer


def run(*flags: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "fleet_encoder", *flags],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ([], "Missing option '--model'"),
        (["--model", "/nowhere"], "no model at /nowhere"),
        (["--model", "M", "--modalities", "image,smell"], "smell"),
        (["--model", "M", "--preprocess-workers", "0"], "0 is not in the range"),
        (["--model", "M", "--dtype", "int3"], "'int3' is not one of"),
        (["--model", "M", "--no-such-flag"], "No such option"),
    ],
)
def test_wrong_flags(qwen2_5_vl: Path, flags: list[str], text: str) -> None:
    code, line = run(*[str(qwen2_5_vl) if flag == "M" else flag for flag in flags])
    assert code == 2
    assert text in line


def test_wrong_environment(qwen2_5_vl: Path) -> None:
    code, line = run("--model", str(qwen2_5_vl), SGLANG_ENCODER_PREPROC_WORKERS="many")
    assert code == 2
    assert "SGLANG_ENCODER_PREPROC_WORKERS" in line or "--preprocess-workers" in line


@pytest.mark.parametrize("flag", ["--bind", "--http"])
def test_a_busy_port(start_encoder: StartEncoder, qwen2_5_vl: Path, flag: str) -> None:
    first = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()
    taken = first.endpoint if flag == "--bind" else first.http.removeprefix("http://")
    flags = {"--bind": "tcp://127.0.0.1:0", "--http": "127.0.0.1:0", flag: taken}
    code, line = run("--model", str(qwen2_5_vl), *[text for pair in flags.items() for text in pair])
    assert code == 2
    assert "in use" in line


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    code, line = run("--model", str(tmp_path))
    assert code == 2
    assert "LlamaForCausalLM" in line
    assert "Qwen2_5_VLForConditionalGeneration" in line


def test_numbers_set_by_hand_are_honoured_and_said(start_encoder: StartEncoder, qwen2_5_vl: Path, photos: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", SGLANG_ENCODER_PREPROC_WORKERS="6").wait_until_ready()
    assert "SGLANG_ENCODER_PREPROC_WORKERS=6" in encoder.log
    assert encoder.metric("encoder_cpu_oversubscription_ratio") == 6
    assert encoder.metric("encoder_cpu_slots") == 6
    assert encoder.metric("encoder_stage_workers", stage="decode_image") == 6
    with Peer(encoder.endpoint) as peer:
        assert peer.ask([("image", photos / "coffee.png")])[0][0].status is Status.OK


def test_nothing_set_is_eight_workers_within_the_cpus(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    encoder = start_encoder(qwen2_5_vl, "--cpus", "1").wait_until_ready()
    assert encoder.metric("encoder_threads", use="preprocess") == 8
    assert encoder.metric("encoder_threads", use="video_decode") == 1
    assert encoder.metric("encoder_cpu_slots") == 1
    assert encoder.metric("encoder_cpu_oversubscription_ratio") == 1


def test_a_flag_beats_the_environment(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    encoder = start_encoder(
        qwen2_5_vl, "--cpus", "4", "--preprocess-workers", "3", SGLANG_ENCODER_PREPROC_WORKERS="2"
    ).wait_until_ready()
    assert encoder.metric("encoder_threads", use="preprocess") == 3


def test_json_logs_are_one_object_a_line(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    import json

    encoder = start_encoder(qwen2_5_vl, "--cpus", "1", "--log-format", "json")
    while not any('"ready"' in line for line in encoder.lines):
        assert encoder.process.poll() is None, encoder.log
    events = [json.loads(line)["event"] for line in encoder.lines]
    assert {"listening", "weights read", "ready"} <= set(events)


def test_a_modality_that_the_model_lacks(start_encoder: StartEncoder, qwen2_5_vl: Path) -> None:
    """Else it would welcome audio that another encoder of the client could do."""
    encoder = start_encoder(qwen2_5_vl, "--modalities", "image,audio")
    assert encoder.wait() == 2
    assert encoder.log.splitlines()[-1].startswith(
        "encoderfleet-encoder: spec.modalities: qwen2_5_vl encodes image, video, not audio"
    )
