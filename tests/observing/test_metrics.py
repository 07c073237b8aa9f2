"""What is exported is documented, passes promtool, and moves when work is done."""

import re
import subprocess
from pathlib import Path

from conftest import EncoderProcess
from fleet_encoder.metrics import Metrics
from peer import Peer, unique_jpeg

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def exported_names() -> set[str]:
    suffix = {"counter": "_total", "info": "_info"}
    return {each.name + suffix.get(each.type, "") for each in Metrics().registry.collect()}


def test_the_page_lists_exactly_what_is_exported() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))
    assert listed == exported_names()


def test_promtool_finds_nothing_to_complain_about(vision_encoder: EncoderProcess, photos: Path) -> None:
    with Peer(vision_encoder.endpoint) as peer:
        peer.ask([("image", photos / "coffee.png"), ("image", b"bad")])
    status, text = vision_encoder.get("/metrics")
    assert status == 200
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_stage_on_an_items_way_is_counted(vision_encoder: EncoderProcess, photos: Path) -> None:
    stages = ("inspect", "decode_image", "preprocess_image", "forward")
    before = {each: vision_encoder.metric("encoder_stage_items_total", stage=each) for each in stages}
    served = vision_encoder.metric("encoder_served_patches_total", modality="image")
    with Peer(vision_encoder.endpoint) as peer:
        answers = peer.ask([("image", unique_jpeg(photos / "rocket.jpg", 900 + n)) for n in range(3)])
    for each in stages:
        assert vision_encoder.metric("encoder_stage_items_total", stage=each) - before[each] == 3
    patches = sum(result.meta.patches for result, _ in answers.values() if result.meta is not None)
    assert vision_encoder.metric("encoder_served_patches_total", modality="image") - served == patches
    assert vision_encoder.metric("encoder_pending_items") == 0
    assert vision_encoder.metric("encoder_pending_patches") == 0
    assert vision_encoder.metric("encoder_cpu_slots_held") == 0


def test_health_and_readiness(vision_encoder: EncoderProcess) -> None:
    assert vision_encoder.get("/healthz") == (200, "ok\n")
    assert vision_encoder.get("/readyz") == (200, "ready\n")
    assert vision_encoder.metric("encoder_ready") == 1


def test_the_vision_weights_alone_were_read(vision_encoder: EncoderProcess, qwen2_5_vl: Path) -> None:
    size = sum(each.stat().st_size for each in qwen2_5_vl.glob("*.safetensors"))
    assert 0 < vision_encoder.metric("encoder_weights_loaded_bytes") < size
    assert "weights read" in vision_encoder.log
