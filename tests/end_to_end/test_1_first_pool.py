"""What a user does first: install, apply, wait, encode, from within the cluster and from outside."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.end_to_end.site import ANY_DEVICE, WAIT, Site

from fleet_operator.specs.names import WIRE_PORT

pytestmark = pytest.mark.timeout(900)

SPEECH = {
    "model": {"pvc": {"claimName": "models", "path": "qwen2_audio"}},
    "modalities": ["audio"],
    "resources": {"gpus": 0, "cpus": 1, "memory": "4Gi"},
    "scheduling": {"nodeSelector": {"example.com/role": "system"}},
    "podTemplate": ANY_DEVICE,
}


def test_the_chart_is_installed_and_tests_itself(site: Site) -> None:
    on = {"enabled": True}
    place = {"example.com/role": "system"}
    site.release.install(nodeSelector=place, monitor={"kind": "PodMonitor"}, rules=on, dashboards=on)

    (pod,) = site.release.pods()
    assert pod["spec"]["nodeName"] == "system"
    logs = site.control_plane.helm("test", "encoder-fleet", "--logs", namespace=site.release.namespace)
    assert "Succeeded" in logs


def test_a_pool_is_ready(site: Site) -> None:
    site.apply_example("first-pool")
    site.kubectl("wait", "--for=condition=Ready", "encp/first", WAIT)

    pods = site.pods("first")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"encoders-1", "encoders-2"}
    assert {pod["status"]["qosClass"] for pod in pods} == {"Guaranteed"}


def test_photos_and_video_are_encoded(site: Site) -> None:
    printed = site.encode("photos/coffee.png", "photos/rocket.jpg", "clips/bikes.mp4", pool="first")

    assert "3 encoded, 0 failed" in printed, printed


def test_photos_and_video_are_encoded_for_a_caller_outside(site: Site, photos: Path, clips: Path) -> None:
    with site.forwarded("service/first", WIRE_PORT) as endpoint:
        program = [sys.executable, "-c", "from fleet_cli.main import main; main()", "encode", "--endpoint", endpoint]
        media = [photos / "coffee.png", photos / "rocket.jpg", clips / "bikes.mp4"]
        done = subprocess.run([*program, *map(str, media)], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "3 encoded, 0 failed" in done.stdout


def test_speech_is_encoded(site: Site, speech: Path) -> None:
    site.apply_pool("speech", SPEECH)
    site.kubectl("wait", "--for=condition=Ready", "encp/speech", WAIT)
    clips = sorted(f"speech/{each.name}" for each in speech.glob("*.wav"))[:3]
    printed = site.encode(*clips, pool="speech")
    site.kubectl("delete", "encp/speech", "--wait")

    assert f"{len(clips)} encoded, 0 failed" in printed, printed
    assert len(clips) == 3
