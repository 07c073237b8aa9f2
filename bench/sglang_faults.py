"""What users lose where one of two encoders goes: chats through a real language server of SGLang, 4 at a time.

Our pool runs by `encoderfleet up --sglang --register`; SGLang's encoders register themselves. SIGTERM is what a kubelet
sends; SIGKILL is a lost machine. Each fault has two fresh encoders and so many seconds of load after it.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from tests.interop.callers import Callers, pool_of_two, wait_for_encoders
from tests.interop.sglang_process import Encoder, LanguageServer, together
from tests.running_locally.running_up import Up

CALLERS = 4
BEFORE = 20
"""Chats until the fault."""

FAULTS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}


@contextmanager
def our_pool(server: LanguageServer, model: Path, directory: Path) -> Iterator[int]:
    """Two encoders, registered; the process of one."""
    pool = pool_of_two(directory, model)
    with Up(pool, "--sglang", "--register", server.url, "--quiet", "-o", "json", replica=None) as up:
        replicas = up.event("ready")["replicas"]
        wait_for_encoders(server, {each["sglang"] for each in replicas})
        yield replicas[0]["pid"]
        up.ctrl_c()
        up.end()
    wait_for_encoders(server, set())


@contextmanager
def their_encoders(server: LanguageServer, model: Path, directory: Path, python: Path) -> Iterator[int]:
    """Two of SGLang's, registered; the process of one."""
    setting = {"SGLANG_ENCODER_MAX_BATCH_SIZE": "1"}
    encoders = [Encoder(python, model, directory, register=[server.bootstrap], **setting) for _ in range(2)]
    with together(*encoders):
        wait_for_encoders(server, {each.url for each in encoders})
        yield encoders[0].pid
    for each in encoders:  # they leave no list by themselves
        server.unregister(each.url)


def lost(
    server: LanguageServer, pid: int, fault: signal.Signals, photos: Sequence[Path], seconds: float
) -> dict[str, float]:
    """Chats that failed after the fault, of how many, and from when to when."""
    with Callers(server, photos, CALLERS) as callers:
        callers.wait_for_more(BEFORE)
        before = len(callers.answers)
        at = monotonic()
        os.kill(pid, fault)
        sleep(seconds)
    failed = [each.at - at for each in callers.lost]
    return {
        "chats": len(callers.answers) - before,
        "lost": len(failed),
        "until_seconds": max(failed, default=0.0),
    }
