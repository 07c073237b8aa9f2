"""The typed EncoderPool, and reading it from a file."""

from fleet_operator.api.errors import PoolError, Problem
from fleet_operator.api.load import load_pool, parse_pool
from fleet_operator.api.parts import Threads
from fleet_operator.api.pool import EncoderPool, PoolSpec

__all__ = ["EncoderPool", "PoolError", "PoolSpec", "Problem", "Threads", "load_pool", "parse_pool"]
