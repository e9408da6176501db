"""Motifs of a drawing: figures of a few flat shapes, chosen by the words of the prompt."""

from collections.abc import Callable, Sequence

from bot.sandbox.drawing.canvas import Pen, colour, mix
from bot.sandbox.drawing.palettes import Palette

Motif = Callable[[Pen, Palette], None]

INK = colour("#1f2230")
CREAM = colour("#fff4e2")
RUST = colour("#e2702a")
LAMP = colour("#ffcf5c")


def fox(pen: Pen, p: Palette) -> None:
    dark = mix(RUST, INK, 0.35)
    pen.polygon((0.1, 0.02), (0.42, 0.06), (0.52, 0.28), (0.44, 0.46), (0.3, 0.2), fill=RUST)
    pen.polygon((0.44, 0.46), (0.53, 0.3), (0.48, 0.2), (0.39, 0.31), fill=CREAM)
    pen.polygon((-0.2, 0), (0.2, 0), (0.17, 0.3), (0.1, 0.6), (-0.1, 0.6), (-0.17, 0.3), fill=RUST)
    pen.ellipse(0, 0.05, 0.22, 0.07, RUST)
    pen.polygon((-0.1, 0.56), (0.1, 0.56), (0.07, 0.3), (0, 0.18), (-0.07, 0.3), fill=CREAM)
    pen.both((0.025, 0), (0.11, 0), (0.1, 0.17), (0.035, 0.17), fill=dark)
    pen.both((0.07, 0.8), (0.25, 1.02), (0.25, 0.68), fill=RUST)
    pen.both((0.13, 0.82), (0.22, 0.95), (0.225, 0.74), fill=dark)
    pen.polygon((-0.2, 0.82), (0.2, 0.82), (0.28, 0.62), (0, 0.44), (-0.28, 0.62), fill=RUST)
    pen.both((0.28, 0.62), (0.13, 0.63), (0.02, 0.5), (0, 0.44), fill=CREAM)
    pen.discs(0.105, 0.68, 0.026, INK)
    pen.discs(0.097, 0.69, 0.008, CREAM)
    pen.ellipse(0, 0.47, 0.036, 0.028, INK)
    _scarf(pen, p, 0.43)


def _scarf(pen: Pen, p: Palette, y: float) -> None:
    """Draw a scarf in the prompt's colour."""
    pen.bar(-0.13, y - 0.06, 0.26, 0.075, p.accent, 0.037)
    pen.polygon(
        (0.03, y - 0.02), (0.12, y - 0.02), (0.14, y - 0.22), (0.05, y - 0.22), fill=p.accent
    )
    pen.bar(-0.13, y - 0.06, 0.26, 0.02, mix(p.accent, INK, 0.25), 0.01)


def cat(pen: Pen, p: Palette) -> None:
    fur, light = colour("#3a3d52"), colour("#5b5f7a")
    for step in range(14):
        share = step / 13
        pen.disc(0.22 + 0.2 * share - 0.12 * share**3, 0.04 + 0.42 * share**1.4, 0.05, fur)
    pen.polygon((-0.2, 0), (0.2, 0), (0.16, 0.35), (0.1, 0.6), (-0.1, 0.6), (-0.16, 0.35), fill=fur)
    pen.ellipse(0, 0.06, 0.22, 0.075, fur)
    pen.ellipse(0, 0.36, 0.08, 0.15, light)
    pen.discs(0.07, 0.035, 0.05, light)
    pen.both((0.05, 0.82), (0.2, 1), (0.23, 0.7), fill=fur)
    pen.both((0.1, 0.83), (0.18, 0.93), (0.2, 0.76), fill=colour("#e79aa8"))
    pen.ellipse(0, 0.68, 0.245, 0.185, fur)
    for side in (-1, 1):
        pen.ellipse(0.1 * side, 0.69, 0.056, 0.06, colour("#f7d154"))
        pen.ellipse(0.1 * side, 0.69, 0.016, 0.05, INK)
        pen.disc(0.1 * side - 0.018, 0.712, 0.012, CREAM)
    pen.polygon((-0.025, 0.62), (0.025, 0.62), (0, 0.59), fill=colour("#e79aa8"))
    _scarf(pen, p, 0.5)


def robot(pen: Pen, p: Palette) -> None:
    shell, shade, glow = colour("#d9e2ec"), colour("#9fb3c8"), mix(p.accent, CREAM, 0.15)
    pen.both((0.06, 0), (0.17, 0), (0.15, 0.2), (0.08, 0.2), fill=shade)
    pen.both((0.03, 0), (0.2, 0), (0.18, 0.06), (0.06, 0.06), fill=INK)
    for side in (-1, 1):
        for step in range(6):
            pen.disc(side * (0.24 + 0.02 * step), 0.46 - 0.045 * step, 0.036, shade)
        pen.disc(side * 0.345, 0.2, 0.05, shell)
    pen.bar(-0.22, 0.17, 0.44, 0.36, shell, 0.08)
    pen.bar(-0.12, 0.26, 0.24, 0.15, INK, 0.03)
    for n, tall in enumerate((0.05, 0.09, 0.035, 0.075)):
        pen.bar(-0.09 + 0.05 * n, 0.285, 0.032, tall, glow, 0.008)
    pen.bar(-0.06, 0.5, 0.12, 0.07, shade)
    pen.bar(-0.012, 0.86, 0.024, 0.1, shade)
    pen.disc(0, 0.98, 0.036, p.accent)
    pen.discs(0.275, 0.71, 0.05, shade)
    pen.bar(-0.27, 0.55, 0.54, 0.33, shell, 0.13)
    pen.bar(-0.205, 0.62, 0.41, 0.19, INK, 0.085)
    pen.discs(0.1, 0.725, 0.046, glow)
    pen.discs(0.087, 0.738, 0.014, CREAM)


def owl(pen: Pen, p: Palette) -> None:
    feathers, breast = colour("#7a5a46"), colour("#e9d3b0")
    pen.both((0.12, 0.82), (0.25, 1), (0.28, 0.7), fill=feathers)
    pen.ellipse(0, 0.45, 0.31, 0.44, feathers)
    pen.ellipse(0, 0.32, 0.2, 0.28, breast)
    for row in range(4):
        for column in range(-1, 2):
            pen.ellipse(0.1 * column + 0.05 * (row % 2), 0.48 - 0.09 * row, 0.022, 0.032, feathers)
    for side in (-1, 1):
        pen.ellipse(side * 0.28, 0.4, 0.08, 0.26, mix(feathers, INK, 0.3))
    pen.discs(0.12, 0.68, 0.13, breast)
    pen.discs(0.12, 0.68, 0.085, p.accent)
    pen.discs(0.12, 0.68, 0.05, INK)
    pen.discs(0.1, 0.705, 0.018, CREAM)
    pen.polygon((-0.04, 0.63), (0.04, 0.63), (0, 0.54), fill=colour("#f2a541"))
    pen.both((0.04, 0.06), (0.14, 0.06), (0.15, 0), (0.03, 0), fill=colour("#f2a541"))


def boat(pen: Pen, p: Palette) -> None:
    wood = colour("#7c4a2d")
    pen.ellipse(0.02, 0.02, 0.48, 0.03, INK, 70)
    pen.bar(-0.012, 0.12, 0.024, 0.88, mix(wood, INK, 0.4))
    pen.polygon((0.03, 0.96), (0.03, 0.24), (0.4, 0.24), (0.27, 0.55), fill=CREAM)
    pen.polygon((0.03, 0.62), (0.03, 0.46), (0.305, 0.46), (0.245, 0.6), fill=p.accent)
    pen.polygon((-0.03, 0.88), (-0.03, 0.24), (-0.31, 0.24), fill=mix(CREAM, p.far, 0.22))
    pen.polygon((-0.42, 0.19), (0.46, 0.19), (0.34, 0.02), (-0.32, 0.02), fill=wood)
    pen.polygon((-0.42, 0.19), (0.46, 0.19), (0.44, 0.15), (-0.4, 0.15), fill=CREAM)


def lighthouse(pen: Pen, p: Palette) -> None:
    red = p.accent
    pen.polygon((0.05, 0.84), (1.6, 1.08), (1.6, 0.72), (0.05, 0.8), fill=LAMP, alpha=90)
    pen.polygon((-0.05, 0.84), (-1.6, 1.04), (-1.6, 0.76), (-0.05, 0.8), fill=LAMP, alpha=70)
    pen.ellipse(0, 0.0, 0.42, 0.085, mix(p.near, p.far, 0.25))
    pen.ellipse(-0.12, 0.02, 0.24, 0.08, p.near)
    width = (0.15, 0.1)
    bands = 5
    for n in range(bands):
        low, high = n / bands, (n + 1) / bands
        wide = [width[0] + (width[1] - width[0]) * share for share in (low, high)]
        y = [0.03 + 0.7 * share for share in (low, high)]
        fill = red if n % 2 else CREAM
        pen.polygon((-wide[0], y[0]), (wide[0], y[0]), (wide[1], y[1]), (-wide[1], y[1]), fill=fill)
    pen.bar(-0.14, 0.72, 0.28, 0.03, INK, 0.01)
    pen.bar(-0.075, 0.75, 0.15, 0.13, LAMP)
    pen.bar(-0.01, 0.75, 0.02, 0.13, INK)
    pen.polygon((-0.105, 0.88), (0.105, 0.88), (0, 1), fill=red)
    pen.bar(-0.03, 0.05, 0.06, 0.1, INK, 0.03)


def whale(pen: Pen, p: Palette) -> None:
    skin, belly = colour("#31598a"), colour("#c9dcec")
    pen.both((0.05, 0.95), (0.16, 1.0), (0.02, 0.62), (0, 0.62), fill=colour("#d8efff"))
    pen.polygon(
        (0.4, 0.3),
        (0.66, 0.66),
        (0.86, 0.74),
        (0.74, 0.52),
        (0.9, 0.4),
        (0.68, 0.4),
        (0.5, 0.12),
        fill=skin,
    )
    pen.ellipse(-0.02, 0.3, 0.56, 0.3, skin)
    pen.polygon((-0.52, 0.2), (0.3, 0.12), (0.1, 0.03), (-0.2, 0.0), (-0.42, 0.08), fill=belly)
    for n in range(4):
        pen.polygon(
            (-0.46 + 0.02 * n, 0.19 - 0.04 * n),
            (0.1, 0.13 - 0.03 * n),
            (-0.44 + 0.02 * n, 0.18 - 0.04 * n),
            fill=mix(belly, skin, 0.4),
        )
    pen.polygon((-0.08, 0.16), (0.16, 0.14), (0.06, -0.08), fill=mix(skin, INK, 0.2))
    pen.disc(-0.34, 0.29, 0.03, INK)
    pen.disc(-0.35, 0.3, 0.01, CREAM)
    pen.ellipse(-0.02, -0.01, 0.75, 0.035, mix(p.near, p.light, 0.3), 150)


def balloon(pen: Pen, p: Palette) -> None:
    stripes = (p.accent, CREAM, mix(p.accent, INK, 0.2), CREAM, p.accent)
    for rx, fill in zip((0.33, 0.27, 0.19, 0.11, 0.05), stripes, strict=True):
        pen.ellipse(0, 0.68, rx, 0.33, fill)
        pen.polygon(
            (-rx * 0.94, 0.56), (rx * 0.94, 0.56), (rx * 0.3, 0.22), (-rx * 0.3, 0.22), fill=fill
        )
    pen.polygon((-0.09, 0.23), (-0.08, 0.23), (-0.055, 0.1), (-0.065, 0.1), fill=INK)
    pen.polygon((0.09, 0.23), (0.08, 0.23), (0.055, 0.1), (0.065, 0.1), fill=INK)
    pen.bar(-0.075, 0.0, 0.15, 0.11, colour("#8a5a34"), 0.02)
    pen.bar(-0.085, 0.09, 0.17, 0.03, colour("#5f3c22"), 0.01)


def rocket(pen: Pen, p: Palette) -> None:
    pen.polygon(
        (-0.09, 0.16), (0.09, 0.16), (0.05, 0.02), (0, -0.14), (-0.05, 0.02), fill=colour("#ff9f1c")
    )
    pen.polygon((-0.05, 0.16), (0.05, 0.16), (0, -0.02), fill=colour("#fff3b0"))
    pen.both((0.13, 0.42), (0.3, 0.2), (0.3, 0.06), (0.12, 0.2), fill=p.accent)
    pen.polygon(
        (-0.13, 0.16),
        (0.13, 0.16),
        (0.17, 0.42),
        (0.15, 0.68),
        (0.09, 0.86),
        (0, 1),
        (-0.09, 0.86),
        (-0.15, 0.68),
        (-0.17, 0.42),
        fill=CREAM,
    )
    pen.polygon((-0.097, 0.84), (0.097, 0.84), (0, 1), fill=p.accent)
    pen.polygon(
        (0.05, 0.16),
        (0.13, 0.16),
        (0.17, 0.42),
        (0.15, 0.68),
        (0.06, 0.76),
        fill=mix(CREAM, INK, 0.12),
    )
    pen.disc(0, 0.6, 0.085, INK)
    pen.disc(0, 0.6, 0.062, colour("#8fd3f4"))
    pen.bar(-0.115, 0.16, 0.23, 0.045, mix(p.accent, INK, 0.3))


def cabin(pen: Pen, p: Palette) -> None:
    wall, roof = colour("#8d5a3b"), mix(p.near, colour("#4a2c22"), 0.5)
    for n in range(3):
        pen.disc(0.25 + 0.05 * n, 0.86 + 0.09 * n, 0.04 + 0.015 * n, CREAM, 150)
    pen.bar(0.2, 0.5, 0.1, 0.3, mix(wall, INK, 0.3))
    pen.bar(-0.4, 0, 0.8, 0.42, wall)
    for n in range(5):
        pen.bar(-0.4, 0.07 + 0.08 * n, 0.8, 0.012, mix(wall, INK, 0.25))
    pen.polygon((-0.5, 0.4), (0.5, 0.4), (0, 0.78), fill=roof)
    pen.polygon((-0.5, 0.4), (-0.44, 0.4), (0.02, 0.755), (0, 0.78), fill=CREAM)
    pen.bar(-0.09, 0, 0.18, 0.28, mix(wall, INK, 0.5), 0.02)
    for x in (-0.31, 0.16):
        pen.bar(x, 0.14, 0.15, 0.15, LAMP)
        pen.bar(x + 0.065, 0.14, 0.02, 0.15, wall)
        pen.bar(x, 0.205, 0.15, 0.02, wall)


def rabbit(pen: Pen, p: Palette) -> None:
    fur, inner = colour("#f3ece4"), colour("#f2b5bd")
    for side in (-1, 1):
        pen.ellipse(side * 0.09, 0.85, 0.06, 0.19, fur)
        pen.ellipse(side * 0.09, 0.84, 0.03, 0.13, inner)
    pen.disc(0.2, 0.12, 0.07, mix(fur, INK, 0.06))
    pen.ellipse(0, 0.2, 0.2, 0.22, fur)
    pen.ellipse(0, 0.17, 0.11, 0.15, mix(fur, CREAM, 0.8))
    pen.ellipse(0, 0.54, 0.2, 0.18, fur)
    for side in (-1, 1):
        pen.ellipse(side * 0.1, 0.03, 0.085, 0.045, fur)
    pen.discs(0.085, 0.57, 0.028, INK)
    pen.discs(0.076, 0.58, 0.009, CREAM)
    pen.discs(0.13, 0.5, 0.032, inner)
    pen.ellipse(0, 0.5, 0.022, 0.016, colour("#d9788a"))
    _scarf(pen, p, 0.39)


MOTIFS: dict[str, Motif] = {
    "fox": fox, "foxes": fox, "dog": fox, "wolf": fox,
    "cat": cat, "cats": cat, "kitten": cat,
    "robot": robot, "robots": robot, "android": robot,
    "owl": owl, "bird": owl,
    "boat": boat, "ship": boat, "sail": boat, "sailing": boat, "sailboat": boat,
    "lighthouse": lighthouse,
    "whale": whale,
    "balloon": balloon, "balloons": balloon,
    "rocket": rocket, "astronaut": rocket, "spaceship": rocket,
    "cabin": cabin, "house": cabin, "hut": cabin, "cottage": cabin,
    "rabbit": rabbit, "bunny": rabbit, "hare": rabbit,
}  # fmt: skip
FLYING: frozenset[Motif] = frozenset({balloon, rocket})


def choose_motif(words: Sequence[str]) -> Motif | None:
    """Return the motif of the first known word."""
    return next((MOTIFS[word] for word in words if word in MOTIFS), None)
