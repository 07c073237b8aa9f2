"""Which GPUs of this machine each replica gets, as a node's device manager would give them."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

SECONDS = 30
LONGEST_LINE = 300


class DriverError(Exception):
    """There is an NVIDIA driver on this machine, and it does not work; the message has its own line."""


def gpus_for(devices: Sequence[str], replica: int, each: int) -> str:
    """CUDA_VISIBLE_DEVICES of replica number `replica`: `each` of `devices`, none shared."""
    return ",".join(devices[replica * each : (replica + 1) * each])


def visible_gpus(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them; empty without nvidia-smi.

    Raises:
        DriverError: nvidia-smi fails or hangs. Computing on the CPU instead would be slower by far, and silently so.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return tuple(name.strip() for name in listed.split(",") if name.strip() not in ("", "-1"))
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return ()
    return tuple(_ask([program, "--query-gpu=index", "--format=csv,noheader"]).split())


def _ask(query: list[str]) -> str:
    try:
        asked = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except OSError as error:
        raise DriverError(f"nvidia-smi cannot be run: {error.strerror}") from error
    try:
        said, _ = asked.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        asked.kill()
        if asked.stdout is not None:
            asked.stdout.close()
        with suppress(subprocess.TimeoutExpired):  # inside a broken driver not even SIGKILL ends it
            asked.wait(1)
        raise DriverError(f"nvidia-smi does not answer within {SECONDS} s") from error
    if asked.returncode != 0:
        line = " ".join(said.split())[:LONGEST_LINE] or f"exit code {asked.returncode}"
        raise DriverError(f"nvidia-smi fails: {line}")
    return said
