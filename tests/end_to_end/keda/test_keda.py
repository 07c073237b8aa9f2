"""A real KEDA scales a pool by the operator's number, and the operator lets it."""

from collections.abc import Iterator

import pytest
from tests.end_to_end import scaled
from tests.end_to_end.report import Report
from tests.end_to_end.site import WAIT, Site
from tests.monitoring.monitoring import Monitoring
from tests.scalers import programs
from tests.scalers.external_metrics import HPA_USER
from tests.scalers.keda import Keda

from documenting.pages import REPOSITORY


@pytest.fixture(scope="module")
def pool_beside_keda(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The first pool, on a cluster that had KEDA before the operator, which looks for it when it starts."""
    with Keda(site.control_plane, programs.ensure_keda(), tmp_path_factory.mktemp("keda")):
        site.release.install(monitor={"kind": "PodMonitor"})
        site.kubectl("apply", "-f", str(REPOSITORY / "examples" / "first-pool.yaml"))
        site.kubectl("wait", "--for=condition=Ready", f"encp/{scaled.POOL}", WAIT)
        yield


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("pool_beside_keda")
def test_keda_scales_a_pool_up_and_down(site: Site, monitoring: Monitoring, report: Report) -> None:
    counted, changes = scaled.up_and_down(site, "KEDA", prometheusAddress=monitoring.prometheus.url)
    report.fault("KEDA scales, 1 to 2 to 1", counted)

    # KEDA makes an HPA, and that one scales.
    assert changes == [(HPA_USER, 2), (HPA_USER, 1)]
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0
