"""File descriptors: as many as the system grants, and one log line a second where they still run out."""

import asyncio
import errno
import resource
from typing import Any

import structlog

from fleet_encoder.logs import Sparse

MOST = 1 << 20

log = structlog.get_logger()


def raise_limit() -> None:
    """Lift the soft limit towards the hard one: the usual 1,024 are some 900 clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MOST)), hard))


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop say once a second, and not with a hundred tracebacks, that it cannot accept a connection."""
    lines = Sparse()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif (left_out := lines.count()) is not None:
            log.error("no file descriptor left for a connection: raise `ulimit -n`", more_left_out=left_out)

    loop.set_exception_handler(handle)
