"""How a long audio clip is cut, and what every window costs: numbers in, numbers out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a clip that the tower sees alone.

    Attributes:
        start: First sample.
        stop: One behind the last sample.
        frames: Mel frames that hold any of them.
        positions: Of the tower, after its strided convolution.
    """

    start: int
    stop: int
    frames: int
    positions: int

    @property
    def tokens(self) -> int:
        """Rows of the embedding: the tower averages pairs of positions, an odd last one is left out."""
        return self.positions // 2


def windows(samples: int, longest: int, hop: int) -> list[Window]:
    """Cut `samples` into windows of `longest`; a last one too short for a token is left out.

    Args:
        samples: Of the clip.
        longest: Samples of a full window.
        hop: Samples from one mel frame to the next.
    """
    result = []
    for start in range(0, samples, longest):
        stop = min(start + longest, samples)
        frames = -(-(stop - start) // hop)
        window = Window(start, stop, frames, (frames - 1) // 2 + 1)
        if window.tokens:
            result.append(window)
    return result
