"""What a user does first, by the page of it; then speech, and callers within the cluster and outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.programs import find_tool
from tests.end_to_end.site import WAIT, Site
from tests.node import images

from documenting.pages import REPOSITORY, check, page
from documenting.walk import Shell, shape, walked
from fleet_operator.specs.names import WIRE_PORT

pytestmark = pytest.mark.timeout(900)

PAGE = "first-pool.md"
SPEECH = {
    "model": {"pvc": {"claimName": "models", "path": "qwen2_audio"}},
    "modalities": ["audio"],
    "resources": {"gpus": 0, "cpus": 1, "memory": "4Gi"},
    "scheduling": {"nodeSelector": {"example.com/role": "system"}},
}


def test_the_page_prints_what_is_typed(site: Site, tmp_path: Path, photos: Path, clips: Path) -> None:
    for file in (
        REPOSITORY / "charts",
        REPOSITORY / "examples",
        photos / "coffee.png",
        photos / "rocket.jpg",
        clips / "bikes.mp4",
    ):
        (tmp_path / file.name).symlink_to(file)
    programs = [Path(sys.executable), find_tool("kubectl"), find_tool("helm")]
    path = ":".join([*(str(each.parent) for each in programs if each), os.environ["PATH"]])
    registry = images.OPERATOR.rpartition("/")[0]
    known = {"HOME": str(tmp_path), "KUBECONFIG": str(site.control_plane.kubeconfig), "REGISTRY": registry}
    shell = Shell(tmp_path, PATH=path, **known)
    try:
        check(PAGE, walked(page(PAGE), shell.run), shape)
    finally:
        shell.close()


def test_pods_are_where_their_gpus_are(site: Site) -> None:
    pods = site.pods("first")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"encoders-1", "encoders-2"}
    assert {pod["status"]["qosClass"] for pod in pods} == {"Guaranteed"}
    assert {pod["spec"]["nodeName"] for pod in site.release.pods()} == {"system"}


def test_monitors_rules_and_dashboards_are_a_matter_of_values(site: Site) -> None:
    on = {"enabled": True}
    site.release.upgrade(monitor={"kind": "PodMonitor", "interval": "15s"}, rules=on, dashboards=on)
    for kind, count in (("podmonitors", 2), ("prometheusrules", 1), ("configmaps -l grafana_dashboard=1", 4)):
        assert len(site.get(*kind.split())["items"]) == count


def test_photos_and_video_are_encoded(site: Site) -> None:
    printed = site.encode("photos/coffee.png", "photos/rocket.jpg", "clips/bikes.mp4", pool="first")

    assert "3 encoded" in printed, printed


def test_photos_and_video_are_encoded_for_a_caller_outside(site: Site, photos: Path, clips: Path) -> None:
    with site.forwarded("service/first", WIRE_PORT) as endpoint:
        program = [sys.executable, "-c", "from fleet_cli.main import main; main()", "encode", "--endpoint", endpoint]
        media = [photos / "coffee.png", photos / "rocket.jpg", clips / "bikes.mp4"]
        done = subprocess.run([*program, *map(str, media)], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "3 encoded" in done.stdout


def test_speech_is_encoded(site: Site, speech: Path) -> None:
    site.apply_pool("speech", SPEECH)
    site.kubectl("wait", "--for=condition=Ready", "encp/speech", WAIT)
    clips = sorted(f"speech/{each.name}" for each in speech.glob("*.wav"))[:3]
    printed = site.encode(*clips, pool="speech")
    site.kubectl("delete", "encp/speech", "--wait")

    assert f"{len(clips)} encoded" in printed, printed
    assert len(clips) == 3
