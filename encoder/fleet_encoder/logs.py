"""One line an event, as text or JSON. Media, queries of URLs and keys are never given to a logger.

Lines are written by a thread of their own: where nobody reads stderr, lines are dropped and counted, and the event loop
goes on.
"""

import logging
import logging.handlers
import math
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Literal

import structlog

QUEUED_LINES = 10_000
FLUSH_SECONDS = 1.0
SPARSE_SECONDS = 1.0


class _Dropping(logging.handlers.QueueHandler):
    """Puts records into a bounded queue as they are; the listener's thread formats them."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


def _keep_exception(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """`exc_info=True` means the exception of this thread, and is read in another."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


class Sparse:
    """Lets through one line a second of those that a client can cause as often as it likes.

    Args:
        clock: Seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = -math.inf
        self._left_out = 0

    def count(self) -> int | None:
        """How many lines were left out since the last one; None where this one is to be left out too."""
        now = self._clock()
        if now < self._next:
            self._left_out += 1
            return None
        self._next = now + SPARSE_SECONDS
        left_out, self._left_out = self._left_out, 0
        return left_out


_listeners: list[logging.handlers.QueueListener] = []


def configure(form: Literal["text", "json"], replica: str) -> None:
    """Send everything to stderr, the libraries' own lines included."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _keep_exception,
    ]
    renderer: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    if form == "text":
        # Plain tracebacks: the pretty ones show local variables, and those hold URLs and media.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
        renderer = [console]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    lines: queue.Queue[logging.LogRecord] = queue.Queue(QUEUED_LINES)
    listener = logging.handlers.QueueListener(lines, stderr)
    listener.start()
    _listeners.append(listener)
    root = logging.getLogger()
    root.handlers[:] = [_Dropping(lines)]
    root.setLevel(logging.INFO)
    for noisy in ("aiohttp.access", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    structlog.contextvars.bind_contextvars(replica=replica)


def flush() -> None:
    """Write what waits, for a second at most: stderr may be a pipe that nobody reads."""
    for listener in _listeners:
        stopping = threading.Thread(target=listener.stop, daemon=True)
        stopping.start()
        stopping.join(FLUSH_SECONDS)
