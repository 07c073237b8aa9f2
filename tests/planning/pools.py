"""Pools for tests, made the way a file makes them."""

from typing import Any

from fleet_operator.api import EncoderPool


def a_pool(**spec: Any) -> EncoderPool:
    """A pool of the shortest kind, with sections of `spec` in place of the defaults."""
    return EncoderPool.model_validate(
        {
            "apiVersion": "encoderfleet.io/v1alpha1",
            "kind": "EncoderPool",
            "metadata": {"name": "vision"},
            "spec": {"model": {"path": "/models/a"}, **spec},
        }
    )
