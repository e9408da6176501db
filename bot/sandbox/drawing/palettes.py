"""The colours of a drawing, and the words of a prompt that choose them."""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.sandbox.drawing.canvas import Colour, colour, mix


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of a scene: `sky` from top to horizon, `far` and `near` the ends of a landscape."""

    sky: tuple[Colour, ...]
    light: Colour  # of sun, moon and windows
    far: Colour
    near: Colour
    accent: Colour
    dark: bool = False  # stars are visible

    def layer(self, share: float) -> Colour:
        """Return the colour of a layer: `far` at share 0, `near` at 1."""
        return mix(self.far, self.near, share)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _palette(
    sky: str, light: str, far: str, near: str, accent: str, *, dark: bool = False
) -> Palette:
    stops = tuple(colour(stop) for stop in sky.split())
    return Palette(stops, colour(light), colour(far), colour(near), colour(accent), dark)


SUNSET = _palette("#2d2a62 #8f3f7c #ee6c5b #fdb863", "#fff0bf", "#c9597c", "#211338", "#ff9f5a")
DUSK = _palette("#1b1d4d #4f4791 #b073b5 #f5b5c4", "#fff1e0", "#8d6bae", "#191638", "#f7c873")
NIGHT = _palette("#060b26 #10214f #2a4a80", "#f6f2dc", "#34568b", "#050a1e", "#ffd27a", dark=True)
AURORA = _palette("#04122b #0b3b4f #2c8c7c", "#e6fff5", "#2c6f7a", "#041420", "#7ef0c1", dark=True)
DAWN = _palette("#86a9d6 #d9b9cf #fbd3b8 #ffeccb", "#fffaf0", "#cfaebd", "#3b4468", "#ec7357")
DAY = _palette("#2f86cf #79bce8 #dff1ee", "#fffce8", "#8fbccb", "#17484b", "#f4a259")
WOODS = _palette("#8fc9b9 #cfe6bd #fff4d2", "#fffdf0", "#9cc7a4", "#0f3328", "#eda63a")
WINTER = _palette("#88abd8 #c1d5ec #f6eef2", "#ffffff", "#b4c8df", "#2f4868", "#e4572e")
DESERT = _palette("#e98e63 #f5bf84 #fdeccb", "#fffbe9", "#e6a06d", "#77301f", "#2a9d8f")
LAGOON = _palette("#0c5c80 #39a5b8 #ffe4b8", "#fff8e2", "#4f9fb0", "#08324a", "#ff8661")
EMBER = _palette("#2a0f1f #7a1f35 #e5562f", "#ffdf9e", "#9d2f3a", "#17060f", "#ffb238")

NAMED: tuple[tuple[frozenset[str], Palette], ...] = (
    (words("aurora northern borealis"), AURORA),
    (words("night midnight moon moonlit stars starry space galaxy dark"), NIGHT),
    (words("winter snow snowy ice frozen frost arctic"), WINTER),
    (words("sunset golden evening autumn fall"), SUNSET),
    (words("dusk twilight neon cyberpunk dream dreamy lavender"), DUSK),
    (words("dawn sunrise morning spring blossom pastel"), DAWN),
    (words("desert dune dunes sand mars canyon"), DESERT),
    (words("fire lava volcano dragon ember"), EMBER),
    (words("forest wood woods jungle garden meadow green"), WOODS),
    (words("sea ocean beach island lagoon underwater whale lighthouse"), LAGOON),
    (words("day noon summer sunny sky blue"), DAY),
)
ANY = (SUNSET, DUSK, NIGHT, AURORA, DAWN, DAY, WOODS, WINTER, DESERT, LAGOON)

ACCENTS = {
    "red": "#e63946",
    "orange": "#f77f00",
    "yellow": "#ffd23f",
    "gold": "#e9b43c",
    "golden": "#e9b43c",
    "green": "#43aa6b",
    "teal": "#1fa89a",
    "blue": "#3a86e0",
    "purple": "#8e5bd0",
    "violet": "#8e5bd0",
    "pink": "#f2709c",
    "white": "#fdfdfb",
    "black": "#22242c",
}


def choose_palette(prompt: Collection[str], rng: random.Random) -> Palette:
    """Choose by the first known word, else at random; a word for a colour sets the accent."""
    chance = rng.choice(ANY)
    chosen = next((palette for names, palette in NAMED if names & set(prompt)), chance)
    named = next((ACCENTS[word] for word in prompt if word in ACCENTS), None)
    return replace(chosen, accent=colour(named)) if named else chosen
