"""The kernel's list of CPU features, as it writes it on x86 and ARM."""

from pathlib import Path

import pytest

from fleet_machine import cpu_features
from fleet_machine.features import cpu_features as read

X86 = """\
processor\t: 0
vendor_id\t: GenuineIntel
flags\t\t: fpu avx2 avx512f avx512_bf16
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu
"""
ARM = """\
processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd asimdhp bf16
CPU implementer\t: 0x41
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, {"fpu", "avx2", "avx512f", "avx512_bf16"}),
        (ARM, {"fp", "asimd", "asimdhp", "bf16"}),
        ("processor\t: 0\n", set()),
        ("", set()),
    ],
)
def test_features(tmp_path: Path, text: str, expected: set[str]) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert read(file) == expected


def test_where_the_kernel_tells_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == frozenset()


def test_this_machine_has_some() -> None:
    assert cpu_features()
