"""What the CPUs can compute with at speed, by the kernel's list of their features."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

_LINES = ("flags", "Features")
"""x86 and ARM."""


def cpu_features(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Names such as `avx512_bf16`, as the first CPU has them; empty where the kernel does not tell."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name.strip() in _LINES:
            return frozenset(rest.split())
    return frozenset()
