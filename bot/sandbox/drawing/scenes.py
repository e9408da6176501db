"""Backgrounds: each fills the canvas and returns the height of the ground for a motif."""

import math
import random
from collections.abc import Callable, Collection

from bot.sandbox.drawing.canvas import Canvas, Point, mix
from bot.sandbox.drawing.palettes import Palette, words

Scene = Callable[[Canvas, Palette], float]


def _sky(c: Canvas, p: Palette, horizon: float, *, disc: float = 0.085) -> Point:
    """Draw the sky with the sun or moon, and return the position of that disc."""
    rng = c.rng
    c.backdrop(p.sky, 0, horizon + 2)
    if p.dark:
        for _ in range(150):
            x, y = rng.uniform(0, c.width), rng.uniform(0, horizon) * rng.uniform(0.2, 1)
            c.disc(
                x, y, c.short * rng.choice((0.0009, 0.0012, 0.002)), p.light, rng.randint(90, 255)
            )
    x = c.width * rng.choice((0.28, 0.34, 0.64, 0.7))
    y = horizon * (rng.uniform(0.25, 0.4) if p.dark else rng.uniform(0.5, 0.72))
    r = c.short * disc
    c.glow(x, y, r * 5.5, p.light, 0.38)
    c.glow(x, y, r * 2.2, p.light, 0.5)
    c.disc(x, y, r, p.light)
    if p.dark:
        shade = mix(p.light, p.sky[1], 0.18)
        for dx, dy, size in ((-0.3, -0.2, 0.22), (0.32, 0.12, 0.16), (-0.05, 0.42, 0.12)):
            c.disc(x + dx * r, y + dy * r, r * size, shade)
    else:
        _clouds(c, p, horizon)
    return (x, y)


def _clouds(c: Canvas, p: Palette, horizon: float) -> None:
    rng = c.rng
    for _ in range(rng.randint(3, 5)):
        x, y = rng.uniform(-0.1, 0.9) * c.width, rng.uniform(0.12, 0.62) * horizon
        tint = mix(p.light, p.sky[-2], 0.25)
        for row in range(3):
            thick = c.short * 0.016
            length = c.width * rng.uniform(0.1, 0.26) * (1 - row * 0.22)
            shift = rng.uniform(-0.03, 0.05) * c.width
            c.bar(x + shift, y - row * thick * 0.9, length, thick, tint, 120, round=thick / 2)


def _ridge(c: Canvas, base: float, height: float, jagged: float) -> list[Point]:
    """Return a line of hills from edge to edge: `jagged` is 0 for soft hills, 1 for rocks."""
    rng = c.rng
    count = 96
    waves = [(rng.uniform(0.6, 1.6) * n, rng.uniform(0, math.tau), 0.6 / n) for n in (1, 2, 3)]
    heights = [0.0] * (count + 1)
    for index in range(count + 1):
        share = index / count * math.tau
        heights[index] = sum(math.sin(share * f + shift) * size for f, shift, size in waves)
    if jagged:
        rough = _peaks(rng, count)
        heights = [h * (1 - jagged) + r * jagged * 1.7 for h, r in zip(heights, rough, strict=True)]
    return [(c.width * i / count, base - height * h) for i, h in enumerate(heights)]


def _peaks(rng: random.Random, count: int) -> list[float]:
    """Return a line with peaks of several sizes."""
    tents = [
        (
            rng.uniform(-0.05, 1.05),
            rng.uniform(0.05, 0.3) / octave**0.5,
            rng.uniform(0.3, 1) / octave,
        )
        for octave in (1, 1, 1, 2, 2, 2, 4, 4, 4, 4)
    ]
    line = []
    for index in range(count + 1):
        x = index / count
        tall = max(size * (1 - abs(x - peak) / width) for peak, width, size in tents)
        line.append(max(tall, -0.2) + rng.uniform(-0.025, 0.025))
    return line


def _closed(line: list[Point], bottom: float) -> list[Point]:
    return [*line, (line[-1][0], bottom), (line[0][0], bottom)]


def mountains(c: Canvas, p: Palette) -> float:
    _sky(c, p, c.height * 0.8)
    layers = 5
    for n in range(layers):
        share = n / (layers - 1)
        base = c.height * (0.6 + 0.08 * n)
        jagged = 0.95 if n < 3 else 0.25
        line = _ridge(c, base, c.short * (0.27 - 0.045 * n), jagged)
        c.polygon(_closed(line, c.height), p.layer(share**1.2))
        if n < 3:
            c.mist(base - c.height * 0.12, base + c.height * 0.09, mix(p.far, p.sky[-1], 0.6), 0.38)
    return c.height * 0.93


def hills(c: Canvas, p: Palette) -> float:
    _sky(c, p, c.height * 0.75)
    layers = 5
    for n in range(layers):
        line = _ridge(c, c.height * (0.58 + 0.09 * n), c.short * 0.055, 0)
        c.polygon(_closed(line, c.height), p.layer(0.1 + 0.9 * n / (layers - 1)))
        if 0 < n < 4:
            _scatter(c, p, line, n)
    return c.height * 0.93


def _scatter(c: Canvas, p: Palette, line: list[Point], n: int) -> None:
    """Draw round trees on a hill."""
    for _ in range(6):
        x, y = c.rng.choice(line)
        r = c.short * (0.008 + 0.006 * n) * c.rng.uniform(0.8, 1.3)
        shade = p.layer(min(1, 0.28 + 0.9 * n / 4))
        c.bar(x - r * 0.12, y - r, r * 0.24, r * 1.6, shade)
        c.ellipse(x, y - r * 1.7, r, r * 1.25, shade)


def forest(c: Canvas, p: Palette) -> float:
    _sky(c, p, c.height * 0.85)
    layers = 4
    for n in range(layers):
        share = (n + 0.3) / (layers - 0.7)
        base = c.height * (0.66 + 0.1 * n)
        line = _ridge(c, base, c.short * 0.02, 0)
        tall = c.short * (0.16 + 0.085 * n)
        x = -tall * c.rng.uniform(0, 0.4)
        while x < c.width + tall * 0.2:
            ground = line[min(max(int(x / c.width * (len(line) - 1)), 0), len(line) - 1)][1]
            _pine(c, p, x, ground, tall * c.rng.uniform(0.65, 1.15), min(share, 1))
            x += tall * c.rng.uniform(0.2, 0.62)
        c.polygon(_closed(line, c.height), p.layer(min(share, 1)))
        if n < layers - 1:
            c.mist(base - tall * 0.5, base + c.height * 0.08, mix(p.far, p.sky[-1], 0.5), 0.5)
    return c.height * 0.97


def _pine(c: Canvas, p: Palette, x: float, y: float, tall: float, share: float) -> None:
    fill = p.layer(share)
    c.bar(x - tall * 0.02, y - tall * 0.2, tall * 0.04, tall * 0.25, fill)
    for tier in range(4):
        low = y - tall * (0.1 + 0.2 * tier)
        wide = tall * (0.2 - 0.042 * tier)
        c.polygon([(x - wide, low), (x, low - tall * 0.36), (x + wide, low)], fill)


def sea(c: Canvas, p: Palette) -> float:
    horizon = c.height * 0.58
    x, _ = _sky(c, p, horizon, disc=0.1)
    line = _ridge(c, horizon, c.short * 0.03, 0.7)
    c.polygon(_closed(line, horizon), mix(p.far, p.sky[-1], 0.25))
    c.backdrop((mix(p.sky[-1], p.far, 0.55), p.layer(0.45), p.near), horizon)
    for _ in range(46):  # light on the water, wider and rarer in the foreground
        depth = c.rng.random() ** 1.3
        y = horizon + (c.height - horizon) * depth
        spread = c.short * (0.05 + 0.2 * depth)
        length = c.short * c.rng.uniform(0.02, 0.1) * (0.6 + depth)
        thick = c.short * (0.0025 + 0.006 * depth)
        left = x + c.rng.uniform(-spread, spread) - length / 2
        c.bar(left, y, length, thick, p.light, round(190 * (1 - depth * 0.7)), round=thick / 2)
    for _ in range(40):
        depth = c.rng.random()
        y = horizon + (c.height - horizon) * depth
        length = c.width * c.rng.uniform(0.03, 0.12)
        thick = c.short * (0.0015 + 0.003 * depth)
        left = c.rng.uniform(-0.1, 1) * c.width
        c.bar(left, y, length, thick, mix(p.far, p.light, 0.3), 70, round=thick / 2)
    return c.height * 0.84


def city(c: Canvas, p: Palette) -> float:
    _sky(c, p, c.height * 0.85)
    layers = 4
    for n in range(layers):
        share = 0.1 + 0.9 * n / (layers - 1)
        x = -c.width * c.rng.uniform(0, 0.06)
        while x < c.width:
            wide = c.short * c.rng.uniform(0.055, 0.1) * (1 + 0.22 * n)
            tall = c.height * c.rng.uniform(0.2, 0.52) * (1 - 0.14 * n)
            _tower(c, p, x, wide, tall, share, lit=n > 0)
            x += wide * c.rng.uniform(0.95, 1.25)
        if n < layers - 1:
            c.mist(c.height * 0.5, c.height, mix(p.far, p.sky[-1], 0.55), 0.4)
    return c.height * 0.98


def _tower(
    c: Canvas, p: Palette, x: float, wide: float, tall: float, share: float, *, lit: bool
) -> None:
    top = c.height - tall
    c.bar(x, top, wide, tall + 2, p.layer(share))
    if c.rng.random() < 0.35:
        c.bar(x + wide * 0.46, top - tall * 0.13, wide * 0.07, tall * 0.14, p.layer(share))
    if not lit:
        return
    glow = mix(p.light, p.accent, 0.45)
    columns, step = 4, wide / 4.6
    for row in range(int(tall / (step * 1.25))):
        for column in range(columns):
            if c.rng.random() < 0.32:
                left = x + step * (0.5 + column)
                c.bar(left, top + step * (0.6 + row * 1.25), step * 0.5, step * 0.66, glow, 220)


def space(c: Canvas, p: Palette) -> float:
    dark = (mix(p.near, p.sky[0], 0.4), p.sky[0], mix(p.sky[0], p.sky[1], 0.6))
    c.backdrop(dark)
    rng = c.rng
    for _ in range(3):
        x, y = rng.uniform(0, c.width), rng.uniform(0, c.height)
        c.glow(x, y, c.short * rng.uniform(0.3, 0.55), rng.choice((p.accent, p.sky[-1])), 0.22)
    for _ in range(260):
        x, y = rng.uniform(0, c.width), rng.uniform(0, c.height)
        c.disc(x, y, c.short * rng.choice((0.0009, 0.0012, 0.0024)), p.light, rng.randint(80, 255))
    x, y, r = c.width * rng.uniform(0.55, 0.7), c.height * rng.uniform(0.36, 0.5), c.short * 0.24
    c.glow(x, y, r * 2, p.accent, 0.35)
    c.disc(x, y, r, mix(p.accent, p.sky[-1], 0.3))
    for n in range(5):
        dy = r * (-0.6 + 0.3 * n)
        half = math.sqrt(r * r - dy * dy) * 0.97
        c.bar(
            x - half,
            y + dy,
            half * 2,
            r * 0.12,
            mix(p.accent, p.light, 0.15 + 0.1 * n),
            150,
            round=r * 0.06,
        )
    for wide, thick in ((1.45, 0.07), (1.62, 0.03)):
        c.arc(x, y + r * 0.05, r * wide, -14, 194, mix(p.light, p.accent, 0.35), r * thick)
    small = c.short * 0.06
    c.disc(c.width * 0.2, c.height * 0.24, small, p.layer(0.1))
    c.disc(c.width * 0.2 - small * 0.3, c.height * 0.24 - small * 0.2, small * 0.25, p.layer(0.3))
    line = _ridge(c, c.height * 0.88, c.short * 0.05, 0.3)
    c.polygon(_closed(line, c.height), p.near)
    return c.height * 0.93


SCENES: tuple[tuple[frozenset[str], Scene], ...] = (
    (words("space planet galaxy astronaut rocket cosmos mars"), space),
    (words("city street skyline town tokyo york neon cyberpunk building"), city),
    (words("forest wood woods jungle tree trees pine pines"), forest),
    (words("mountain mountains alps peak peaks volcano canyon snow snowy"), mountains),
    (words("sea ocean beach island lake boat ship whale lighthouse harbour wave"), sea),
    (words("hill hills meadow desert dune dunes field garden village"), hills),
)
ANY: tuple[Scene, ...] = (mountains, hills, forest, sea, city)


def choose_scene(prompt: Collection[str], rng: random.Random) -> Scene:
    """Choose by the first known word, else at random."""
    chance = rng.choice(ANY)
    return next((scene for names, scene in SCENES if names & set(prompt)), chance)
