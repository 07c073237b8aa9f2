"""Which decoder decodes what: the wanted frames of a video, cut into parts of equal work.

A frame can only be reached from the keyframe before it. So the unit of work is a *span*: the frames wanted between one
keyframe and the next, which costs the decoding of everything from the keyframe to the last of them. Two decoders in
one span would both decode its beginning, and the second would finish no earlier: cuts are made between spans only.

Pure. Costs are in tenths of a decoded frame, whole numbers: sums of fractions would not add up to themselves.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MAX_DECODERS = 16
DECODE_COST = 10
CONVERSION_COST = 3
"""To turn a decoded frame into RGB and store it: measured at 720p."""
COST_WORTH_A_DECODER = 64 * DECODE_COST
"""Opening a decoder costs 4 to 10 ms: as much as some 5 frames at 720p, and 40 at thumbnail size."""
FRAMES_WORTH_A_SEEK = 4
"""Seeking throws away as many frames as a decoder holds back; over a gap of so few, decoding on is cheaper."""


@dataclass(frozen=True, slots=True)
class Span:
    """Frames to decode in one go.

    Attributes:
        start: Number of the frame to begin at: a keyframe, or 0.
        frames: Numbers of the wanted ones, ascending.
    """

    start: int
    frames: tuple[int, ...]

    @property
    def cost(self) -> int:
        """In tenths of a decoded frame."""
        return DECODE_COST * (self.frames[-1] - self.start + 1) + CONVERSION_COST * len(self.frames)


def spans(indices: Sequence[int], keyframes: Sequence[int]) -> list[Span]:
    """One span for each keyframe that a wanted frame depends on; `keyframes` ascending, `indices` in any order."""
    grouped: dict[int, list[int]] = {}
    for number in sorted(set(indices)):
        before = bisect_right(keyframes, number)
        grouped.setdefault(keyframes[before - 1] if before else 0, []).append(number)
    return [Span(start, tuple(frames)) for start, frames in grouped.items()]


def decoder_count(setting: int, cpus: int, parts: Sequence[Span]) -> int:
    """How many decoders to open for a video. More than the work is worth would only be opened and seek.

    Args:
        setting: `video_decode_num_threads`: 0 is automatic, any other number is an upper bound, also above the CPUs.
        cpus: Decoders that may run at one moment.
        parts: From `spans`.
    """
    worthwhile = sum(part.cost for part in parts) // COST_WORTH_A_DECODER
    return max(1, min(setting or min(MAX_DECODERS, cpus), len(parts), worthwhile))


def chunks(parts: Sequence[Span], count: int) -> list[list[Span]]:
    """At most `count` runs of consecutive spans, the most expensive of them as cheap as can be."""
    costs = [part.cost for part in parts]
    if not costs:
        return []
    low, high = max(costs), sum(costs)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_cut(parts, middle)) <= count else (middle + 1, high)
    return [_joined(run) for run in _cut(parts, high)]


def _cut(parts: Sequence[Span], limit: int) -> list[list[Span]]:
    """Runs of at most `limit`, each as long as possible."""
    runs: list[list[Span]] = []
    room = 0
    for part in parts:
        if not runs or part.cost > room:
            runs.append([])
            room = limit
        runs[-1].append(part)
        room -= part.cost
    return runs


def _joined(run: Sequence[Span]) -> list[Span]:
    """Spans so close to the one before that decoding on is cheaper than seeking become one with it."""
    joined: list[Span] = []
    for part in run:
        if joined and part.start - joined[-1].frames[-1] <= FRAMES_WORTH_A_SEEK:
            joined[-1] = Span(joined[-1].start, joined[-1].frames + part.frames)
        else:
            joined.append(part)
    return joined
