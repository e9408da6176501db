"""Draw the picture of a prompt: equal prompt, seed and size always give equal bytes."""

import hashlib
import io
import random
import re
from collections.abc import Sequence
from typing import Final, Literal

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

from bot.sandbox.drawing.canvas import Canvas, Pen, gradient
from bot.sandbox.drawing.motifs import FLYING, choose_motif
from bot.sandbox.drawing.palettes import Palette, choose_palette
from bot.sandbox.drawing.scenes import choose_scene

Format = Literal["png", "jpeg", "webp"]

FIGURE: Final = 0.46  # the motif's height as a share of the shorter side
CAPTION: Final = 0.026  # the height of letters as a share of the shorter side
SNOW: Final = frozenset({"snow", "snowy", "snowing", "snowfall", "blizzard"})
KEYS: Final = 256  # glyphs of Pillow's own font, which is Latin only


def draw(
    prompt: str,
    seed: int,
    width: int,
    height: int,
    *,
    inputs: Sequence[bytes] = (),
    format: Format = "png",
) -> bytes:
    """Return a picture file of `width` by `height` pixels.

    With `inputs` (picture files that Pillow can read), the result is an edit of the first: cropped
    to the size, in the light of the prompt, with the prompt's motif; the others are small on top.
    Takes about 0.1 s: call in a thread.
    """
    words = re.findall(r"[^\W\d_]+", prompt.lower())
    digest = hashlib.sha256(f"{seed}\n{prompt}".encode()).digest()
    rng = random.Random(digest)
    palette = choose_palette(words, rng)
    if inputs:
        picture = _edited(words, palette, rng, (width, height), inputs)
    else:
        picture = _painted(words, palette, rng, (width, height))
    _caption(picture, prompt, above=bool(inputs))
    return encode(picture, format)


def encode(picture: Image.Image, format: Format) -> bytes:
    out = io.BytesIO()
    match format:
        case "png":
            picture.save(out, "PNG", compress_level=1)
        case "jpeg":
            picture.save(out, "JPEG", quality=88)
        case "webp":
            picture.save(out, "WEBP", quality=85, method=1)
    return out.getvalue()


def _painted(
    words: Sequence[str], palette: Palette, rng: random.Random, size: tuple[int, int]
) -> Image.Image:
    canvas = Canvas(*size, rng)
    ground = choose_scene(words, rng)(canvas, palette)
    motif = choose_motif(words)
    if motif is not None:
        x = canvas.width * rng.choice((0.36, 0.5, 0.62))
        y = canvas.height * 0.62 if motif in FLYING else ground
        motif(Pen(canvas, x, y, canvas.short * FIGURE), palette)
    if SNOW & set(words):
        for _ in range(170):
            r = canvas.short * rng.choice((0.002, 0.003, 0.004, 0.007))
            x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
            canvas.disc(x, y, r, (255, 255, 255), rng.randint(120, 240))
    return canvas.finished()


def _edited(
    words: Sequence[str],
    palette: Palette,
    rng: random.Random,
    size: tuple[int, int],
    inputs: Sequence[bytes],
) -> Image.Image:
    canvas = Canvas(*size, rng)
    base = ImageOps.fit(_opened(inputs[0]), canvas.image.size, Image.Resampling.BILINEAR)
    light = gradient(canvas.image.size, palette.sky)
    toned = Image.blend(base, ImageChops.soft_light(base, light), 0.75)
    canvas.image.paste(Image.blend(toned, light, 0.42 if palette.dark else 0.22))
    _sparkle(canvas, palette)
    motif = choose_motif(words)
    if motif is not None:
        x = canvas.width * rng.choice((0.24, 0.76))
        y = canvas.height * (0.6 if motif in FLYING else 0.94)
        motif(Pen(canvas, x, y, canvas.short * FIGURE * 0.9), palette)
    picture = canvas.finished()
    for number, other in enumerate(inputs[1:]):
        _inset(picture, _opened(other), number)
    return picture


def _opened(data: bytes) -> Image.Image:
    """Open a picture of any kind, upright and without transparency."""
    with Image.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened)
        if upright.has_transparency_data:
            white = Image.new("RGBA", upright.size, "white")
            return Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")
        return upright.convert("RGB")


def _sparkle(canvas: Canvas, palette: Palette) -> None:
    """Draw sparks, so that an edit differs from the input even without a known motif."""
    rng = canvas.rng
    x, y = canvas.width * rng.uniform(0.15, 0.85), canvas.height * rng.uniform(0.05, 0.3)
    canvas.glow(x, y, canvas.short * 0.7, palette.light, 0.5)
    for _ in range(60):
        r = canvas.short * rng.choice((0.002, 0.003, 0.005, 0.009))
        x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height) ** 0.97
        canvas.disc(x, y, r, palette.light, rng.randint(70, 200))


def _inset(picture: Image.Image, other: Image.Image, number: int) -> None:
    side = round(min(picture.size) * 0.2)
    edge = max(2, side // 24)
    small = ImageOps.expand(ImageOps.fit(other, (side, side)), edge, (255, 255, 255))
    gap = round(side * 0.16)
    picture.paste(small, (picture.width - (small.width + gap) * (number + 1), gap))


def _caption(picture: Image.Image, prompt: str, *, above: bool) -> None:
    """Write the prompt at the foot, or `above` at the head, clear of the caption of an input."""
    text = "".join(key for key in " ".join(prompt.split()) if ord(key) < KEYS).strip()
    if not text:
        return
    size = max(10, round(min(picture.size) * CAPTION))
    font = ImageFont.load_default(size)
    room = picture.width - size * 4
    if font.getlength(text) > room:
        while text and font.getlength(text + "…") > room:
            text = text[: -max(1, len(text) // 24)].rstrip()
        text += "…"
    pad = size * 0.7
    top = size if above else picture.height - size * 1.1 - pad * 2.2
    box = (size, top, size + font.getlength(text) + pad * 2, top + size + pad * 1.1)
    brush = ImageDraw.Draw(picture, "RGBA")
    brush.rounded_rectangle(box, (box[3] - box[1]) / 2, (10, 12, 24, 130))
    middle = (box[1] + box[3]) / 2
    brush.text((size + pad, middle), text, (255, 255, 255, 235), font, anchor="lm")
