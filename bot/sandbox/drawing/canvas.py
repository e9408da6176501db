"""A drawing surface in pixels of the finished picture.

Small pictures are drawn at twice their size, for smooth edges; large ones at less than their own,
because each pixel of the surface costs time.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

OVERSAMPLING = 2
LONGEST = 800  # pixels of the surface's longer side


def colour(text: str) -> Colour:
    """Parse `#rrggbb`."""
    return (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours: `one` at share 0, `other` at 1."""
    mixed = [round(a + (b - a) * share) for a, b in zip(one, other, strict=True)]
    return (mixed[0], mixed[1], mixed[2])


def gradient(size: tuple[int, int], stops: Sequence[Colour]) -> Image.Image:
    """Return a vertical gradient with the stops at equal distances."""
    steps = 256
    column = Image.new("RGB", (1, steps))
    for step in range(steps):
        position = step / (steps - 1) * (len(stops) - 1)
        index = min(int(position), len(stops) - 2)
        column.putpixel((0, step), mix(stops[index], stops[index + 1], position - index))
    return _widened(column, size)


def _widened(column: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Stretch one column of pixels over a whole size; cheaper than resizing in two directions."""
    tall = column.resize((1, size[1]), Image.Resampling.BILINEAR)
    return tall.resize(size, Image.Resampling.NEAREST)


def _faded(strength: float) -> Image.Image:
    """Return a disc that fades to zero at the edge; Pillow's own still has 70 % of the light
    there."""
    edge = 178
    levels = [round(255 * strength * max(0.0, 1 - n / edge) ** 1.6) for n in range(256)]
    return Image.radial_gradient("L").point(levels)


class Canvas:
    """A surface with coordinates in pixels of the finished picture, y downwards.

    Fills may be translucent.
    """

    def __init__(self, width: int, height: int, rng: random.Random) -> None:
        self.width = width
        self.height = height
        self.rng = rng
        self._scale = min(OVERSAMPLING, LONGEST / max(width, height))
        surface = max(1, round(width * self._scale)), max(1, round(height * self._scale))
        self.image = Image.new("RGB", surface)
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    @property
    def short(self) -> int:
        return min(self.width, self.height)

    def finished(self) -> Image.Image:
        return self.image.resize((self.width, self.height), Image.Resampling.BILINEAR)

    def polygon(self, points: Sequence[Point], fill: Colour, alpha: int = 255) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.polygon(scaled, (*fill, alpha))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, alpha: int = 255
    ) -> None:
        box = [n * self._scale for n in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, (*fill, alpha))

    def disc(self, x: float, y: float, r: float, fill: Colour, alpha: int = 255) -> None:
        self.ellipse(x, y, r, r, fill, alpha)

    def bar(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: Colour,
        alpha: int = 255,
        *,
        round: float = 0.0,
    ) -> None:
        box = [n * self._scale for n in (x, y, x + width, y + height)]
        self._draw.rounded_rectangle(box, round * self._scale, (*fill, alpha))

    def arc(
        self,
        x: float,
        y: float,
        r: float,
        start: float,
        end: float,
        fill: Colour,
        width: float,
    ) -> None:
        """Draw an arc from `start` to `end`, in degrees clockwise from three o'clock."""
        box = [n * self._scale for n in (x - r, y - r, x + r, y + r)]
        self._draw.arc(box, start, end, fill, max(1, round(width * self._scale)))

    def backdrop(
        self, stops: Sequence[Colour], top: float = 0, bottom: float | None = None
    ) -> None:
        """Fill the whole width with a gradient from `top` to `bottom` (None: the picture's
        edges)."""
        y = round(top * self._scale)
        end = self.image.height if bottom is None else round(bottom * self._scale)
        if end > y:
            self.image.paste(gradient((self.image.width, end - y), stops), (0, y))

    def glow(self, x: float, y: float, r: float, fill: Colour, strength: float = 1.0) -> None:
        """Draw light that fades out at radius `r`. Only the part on the canvas is computed."""
        left, top = (x - r) * self._scale, (y - r) * self._scale
        side = 2 * r * self._scale
        seen = (
            max(0, round(left)),
            max(0, round(top)),
            min(self.image.width, round(left + side)),
            min(self.image.height, round(top + side)),
        )
        size = (seen[2] - seen[0], seen[3] - seen[1])
        if min(size) < 1:
            return
        mask = _faded(strength)
        scale = mask.width / side
        box = (
            max(0.0, (seen[0] - left) * scale),
            max(0.0, (seen[1] - top) * scale),
            min(float(mask.width), (seen[2] - left) * scale),
            min(float(mask.height), (seen[3] - top) * scale),
        )
        self.image.paste(fill, seen[:2], mask.resize(size, Image.Resampling.BILINEAR, box))

    def mist(self, top: float, full: float, fill: Colour, strength: float) -> None:
        """Draw a veil from `top` downwards, with full strength from `full` on."""
        start, end = round(top * self._scale), round(full * self._scale)
        height = self.image.height - start
        if height < 1 or end <= start:
            return
        column = Image.new("L", (1, height), round(255 * strength))
        fade = Image.linear_gradient("L").point([round(n * strength) for n in range(256)])
        column.paste(fade.resize((1, end - start), Image.Resampling.BILINEAR), (0, 0))
        wide = column.resize((self.image.width, height), Image.Resampling.NEAREST)
        self.image.paste(fill, (0, start), wide)


@dataclass(frozen=True, slots=True)
class Pen:
    """Draw a motif whose feet are at (`x`, `y`): 1.0 is the motif's height, and y goes up."""

    canvas: Canvas
    x: float
    y: float
    size: float

    def at(self, x: float, y: float) -> Point:
        return (self.x + x * self.size, self.y - y * self.size)

    def polygon(self, *points: Point, fill: Colour, alpha: int = 255) -> None:
        self.canvas.polygon([self.at(x, y) for x, y in points], fill, alpha)

    def both(self, *points: Point, fill: Colour) -> None:
        """Draw the polygon and the mirror image."""
        self.polygon(*points, fill=fill)
        self.polygon(*[(-x, y) for x, y in points], fill=fill)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, fill: Colour, alpha: int = 255
    ) -> None:
        self.canvas.ellipse(*self.at(x, y), rx * self.size, ry * self.size, fill, alpha)

    def disc(self, x: float, y: float, r: float, fill: Colour, alpha: int = 255) -> None:
        self.ellipse(x, y, r, r, fill, alpha)

    def discs(self, x: float, y: float, r: float, fill: Colour) -> None:
        """Draw one disc on each side."""
        self.disc(x, y, r, fill)
        self.disc(-x, y, r, fill)

    def bar(
        self, x: float, y: float, width: float, height: float, fill: Colour, round: float = 0.0
    ) -> None:
        """Draw a bar; (`x`, `y`) is the lower left corner."""
        left, low = self.at(x, y)
        s = self.size
        self.canvas.bar(left, low - height * s, width * s, height * s, fill, round=round * s)
