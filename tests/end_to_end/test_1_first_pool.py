"""What a user does first: install, apply, wait, encode, scale."""

from pathlib import Path

from tests.end_to_end.site import Site

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_chart_is_installed_and_tests_itself(site: Site) -> None:
    site.release.install(nodeSelector={"example.com/role": "system"})

    (pod,) = site.release.pods()
    assert pod["spec"]["nodeName"] == "system"
    logs = site.control_plane.helm("test", "encoder-fleet", "--logs", namespace=site.release.namespace)
    assert "Succeeded" in logs


def test_a_pool_is_ready(site: Site) -> None:
    site.kubectl("apply", "-f", str(EXAMPLES / "first-pool.yaml"))
    site.kubectl("wait", "--for=condition=Ready", "encp/first", "--timeout=160s")

    pods = site.pods("first")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"encoders-1", "encoders-2"}
    assert {pod["status"]["qosClass"] for pod in pods} == {"Guaranteed"}


def test_photos_and_video_are_encoded(site: Site) -> None:
    printed = site.encode("photos/coffee.png", "photos/rocket.jpg", "clips/bikes.mp4", pool="first")

    assert "3 encoded, 0 failed" in printed, printed
