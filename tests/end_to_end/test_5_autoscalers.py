"""A real HorizontalPodAutoscaler scales a pool by the operator's number, and the operator lets it."""

from pathlib import Path

import pytest
from tests.end_to_end import scaled
from tests.end_to_end.report import Report
from tests.end_to_end.site import Site
from tests.monitoring.monitoring import Monitoring
from tests.scalers import programs
from tests.scalers.external_metrics import HPA_USER
from tests.scalers.metrics_adapter import MetricsAdapter


@pytest.mark.timeout(900)
def test_an_hpa_scales_a_pool_up_and_down(site: Site, monitoring: Monitoring, report: Report, tmp_path: Path) -> None:
    program = programs.ensure_metrics_adapter()
    with MetricsAdapter(site.control_plane, program, monitoring.prometheus.url, tmp_path):
        counted, changes = scaled.up_and_down(site, "HPA")
    report.fault("an HPA scales, 1 to 2 to 1", counted)

    assert changes == [(HPA_USER, 2), (HPA_USER, 1)]
    assert counted.lost == 0, counted.problems
    assert counted.answered > 0
