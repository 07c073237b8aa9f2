"""What runs in a pod, counted from outside of it: from `/proc` and the pod's control group."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from tests.end_to_end.site import Site

from fleet_machine.parse import cpu_list

POOLS = {
    "preprocess": "SGLANG_ENCODER_PREPROC_WORKERS",
    "decode": "SGLANG_ENCODER_VIDEO_DECODE_NUM_THREADS",
    "forward": "OMP_NUM_THREADS",
}
"""Threads by the name that the kernel has for them, and the variable that says how many there are to be."""
FFMPEG = re.compile(r"av:|dec\d")
"""Names that FFmpeg gives to threads of its own."""


class Inside:
    """A pod's first process.

    Args:
        site: Where.
        pod: With one container, which runs.

    Attributes:
        cores: On which it may run.
        busy: After `stop`: how many threads of each name have computed since `start`.
        periods: After `stop`: of the control group's periods since then, 0 where nothing limits its CPUs over time.
        throttled: After `stop`: how many of them ended with threads held back.
    """

    def __init__(self, site: Site, pod: dict[str, Any]) -> None:
        self.pod = pod
        pid = site.pid(pod)
        self._process = Path(f"/proc/{pid}")
        self._group = site.group(pod)
        (cores,) = re.findall(r"^Cpus_allowed_list:\s*(\S+)$", (self._process / "status").read_text(), re.MULTILINE)
        self.cores = cpu_list(cores)
        self.busy: Counter[str] = Counter()
        self.periods = self.throttled = 0

    @property
    def variables(self) -> dict[str, str]:
        """Of its environment."""
        lines = (self._process / "environ").read_bytes().decode().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    def start(self) -> None:
        """Look at what there is now."""
        self._before = self._ticks(), *self._periods()

    def stop(self) -> None:
        """Count what was done since `start`."""
        ticks, periods, throttled = self._before
        now = self._ticks()
        self.busy = Counter(name for thread, (name, used) in now.items() if used > ticks.get(thread, (name, 0))[1])
        self.busy["FFmpeg"] = sum(count for name, count in self.busy.items() if FFMPEG.match(name))
        self.periods, self.throttled = (
            after - before for after, before in zip(self._periods(), (periods, throttled), strict=True)
        )

    def _ticks(self) -> dict[str, tuple[str, int]]:
        """Thread -> its name, and hundredths of a second that it has computed."""
        found = {}
        for task in (self._process / "task").iterdir():
            try:
                text = (task / "stat").read_text()
            except OSError:  # it has just ended
                continue
            name, _, fields = text.partition("(")[2].rpartition(") ")
            user, system = fields.split()[11:13]
            found[task.name] = (name, int(user) + int(system))
        return found

    def _periods(self) -> tuple[int, int]:
        counted = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(counted["nr_periods"]), int(counted["nr_throttled"])
