"""Addresses in URLs."""

import pytest

from fleet_operator.addresses import at


@pytest.mark.parametrize(
    ("host", "said"), [("10.0.0.1", "10.0.0.1:80"), ("fd00::1", "[fd00::1]:80"), ("vlm.chat", "vlm.chat:80")]
)
def test_a_port_of_an_address(host: str, said: str) -> None:
    assert at(host, 80) == said
