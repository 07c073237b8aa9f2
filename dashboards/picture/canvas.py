"""A picture in pixels, from the upper left corner on, drawn by matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray
from PIL import Image

from dashboards.picture.places import Box
from dashboards.picture.theme import ALL, NORMAL, PAGE, TEXT

Pixels = NDArray[np.uint8]
Side = Literal["left", "center", "right"]
_DOTS = 72
"""An inch: letters' points are pixels then."""
_MORE = "…"
_SHADES = 32
"""In a file, besides the theme's colours: at the edges of letters, and where areas meet."""


class Canvas:
    """A picture on which is drawn.

    Args:
        width: In pixels.
        height: In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / _DOTS, height / _DOTS), dpi=_DOTS, facecolor=PAGE)
        self._agg = FigureCanvasAgg(self._figure)

    def area(self, box: Box, fill: str, edge: str | None = None, radius: float = 0) -> None:
        """A rectangle, its corners round."""
        shape = FancyBboxPatch(
            (box.x + radius, self.height - box.y - box.height + radius),
            box.width - 2 * radius,
            box.height - 2 * radius,
            boxstyle=f"round,pad={radius}" if radius else "square,pad=0",
            facecolor=fill,
            edgecolor=edge or "none",
            linewidth=1 if edge else 0,
            transform=IdentityTransform(),
            zorder=-1,  # below axes
        )
        self._figure.add_artist(shape)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = NORMAL,
        colour: str = TEXT,
        *,
        side: Side = "left",
        bold: bool = False,
        room: float | None = None,
    ) -> None:
        """Words on one line.

        Args:
            x: Where they begin, have their middle or end, as `side` says.
            y: The middle of small letters.
            words: What to write.
            size: Of letters, in pixels.
            colour: Of letters.
            side: See `x`.
            bold: Whether they are.
            room: Pixels that they may take; what does not fit is cut.
        """
        self._figure.text(
            x / self.width,
            1 - (y + size * 0.36) / self.height,
            words if room is None else self.cut(words, size, room, bold=bold),
            fontsize=size,
            color=colour,
            ha=side,
            va="baseline",
            weight="bold" if bold else "normal",
            parse_math=False,
        )

    def width_of(self, words: str, size: float = NORMAL, *, bold: bool = False) -> float:
        """Pixels that words take."""
        font = FontProperties(size=size, weight="bold" if bold else "normal")
        return float(self._agg.get_renderer().get_text_width_height_descent(words, font, False)[0])

    def fitting(self, words: str, sizes: Sequence[float], room: float) -> float:
        """The largest of some sizes, which descend, at which words have room; the last, if at none."""
        return next((each for each in sizes if self.width_of(words, each) <= room), sizes[-1])

    def cut(self, words: str, size: float, room: float, *, bold: bool = False) -> str:
        """As much of some words as there is room for."""
        if self.width_of(words, size, bold=bold) <= room:
            return words
        while words and self.width_of(words + _MORE, size, bold=bold) > room:
            words = words[:-1]
        return words + _MORE

    def axes(self, box: Box) -> Axes:
        """A place for lines, with scales of its own and nothing around it."""
        made = self._figure.add_axes(
            (
                box.x / self.width,
                1 - (box.y + box.height) / self.height,
                box.width / self.width,
                box.height / self.height,
            )
        )
        made.set_facecolor("none")
        made.set_xticks([])
        made.set_yticks([])
        for spine in made.spines.values():
            spine.set_visible(False)
        return made

    def save(self, file: Path) -> None:
        """Write a PNG of few colours, which takes a third of the bytes.

        Those of the theme stay as they are: by itself Pillow gives a thin orange line the yellow of a thicker one.
        """
        self._agg.draw()
        pixels = np.asarray(self._agg.buffer_rgba())[:, :, :3]
        shades = Image.fromarray(pixels).quantize(_SHADES, dither=Image.Dither.NONE).getpalette() or []
        palette = np.array(
            [*(tuple(bytes.fromhex(each[1:])) for each in ALL), *zip(*[iter(shades)] * 3, strict=True)], np.uint8
        )
        image = Image.fromarray(nearest(pixels, palette))
        image.putpalette(palette.tobytes())
        image.save(file, optimize=True)


def nearest(pixels: Pixels, palette: Pixels) -> Pixels:
    """Of each pixel, (height, width, 3), the index of the nearest colour, (at most 256, 3)."""
    wide = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, where = np.unique(wide, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    apart = ((colours[:, None] - palette[None].astype(np.int32)) ** 2).sum(axis=2)
    indices: Pixels = apart.argmin(axis=1).astype(np.uint8)
    return indices[where].reshape(wide.shape)
