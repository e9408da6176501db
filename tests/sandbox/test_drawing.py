"""The drawings: deterministic, and of the right size and kind."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from bot.sandbox.drawing.draw import Format, draw
from bot.sandbox.imaging import size_of_input, size_of_ratio

FOX = "a fox in the snow"


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def difference(one: bytes, other: bytes) -> float:
    """Return the mean difference of two pictures of one size, of 255."""
    stat = ImageStat.Stat(ImageChops.difference(opened(one), opened(other)))
    return sum(stat.mean) / 3


def test_the_same_wish_is_drawn_alike_to_the_byte() -> None:
    assert draw(FOX, 7, 96, 64) == draw(FOX, 7, 96, 64)


@pytest.mark.parametrize(
    ("prompt", "seed"), [(FOX, 8), ("a cat in the snow", 7), ("a fox at night", 7)]
)
def test_another_wish_is_drawn_otherwise(prompt: str, seed: int) -> None:
    assert difference(draw(FOX, 7, 96, 64), draw(prompt, seed, 96, 64)) > 1


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(160, 90), (64, 128), (1, 1), (7, 300)])
def test_size_and_kind_are_as_asked_for(format: Format, size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(draw(FOX, 1, *size, format=format))) as image:
        assert (image.size, (image.format or "").lower()) == (size, format)


@pytest.mark.parametrize(
    "prompt", ["", "   ", "狐狸", "a\nb\x00c", "🦊" * 50, "words " * 400, "<script>alert(1)"]
)
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    assert opened(draw(prompt, 0, 120, 80)).size == (120, 80)


@pytest.mark.parametrize(
    "prompt",
    [
        "a robot in a city",
        "a cat in the forest at dawn",
        "a boat on the sea, sunset",
        "rocket in space",
        "lighthouse, aurora",
        "a whale",
        "a cabin in the hills",
        "an owl",
        "balloon over mountains",
        "a rabbit in the desert",
    ],
)
def test_every_scene_and_figure_can_be_drawn(prompt: str) -> None:
    stat = ImageStat.Stat(opened(draw(prompt, 3, 128, 128)))

    assert max(stat.stddev) > 15  # more than one colour


def test_an_edit_shows_its_input_and_is_not_its_input() -> None:
    size = (120, 120)
    input_ = draw("a cat in the forest", 1, *size)
    other = draw("a city", 1, *size)

    edit = draw("make it golden", 2, *size, inputs=[input_])

    assert 3 < difference(edit, input_) < difference(edit, other)


def test_every_further_input_shows() -> None:
    size = (200, 120)
    inputs = [draw(prompt, 1, *size) for prompt in ("a cat", "a fox", "a whale")]

    made = [draw("together", 1, *size, inputs=inputs[:count]) for count in (1, 2, 3)]

    assert len(set(made)) == 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_inputs_of_any_mode_are_taken(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (40, 30)).save(out, "JPEG" if mode == "CMYK" else "PNG")

    assert opened(draw("x", 1, 64, 64, inputs=[out.getvalue()])).size == (64, 64)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (1024, 1024)),
        ("16:9", (1024, 576)),
        ("9:16", (576, 1024)),
        ("3:2", (1024, 683)),
        ("1:2", (512, 1024)),
    ],
)
def test_a_ratio_has_its_size(ratio: str, size: tuple[int, int]) -> None:
    assert size_of_ratio(ratio) == size


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 20)), (3, (40, 20)), (6, (20, 40))])
def test_an_inputs_size_is_as_it_is_seen(orientation: int, size: tuple[int, int]) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 20)).save(out, "JPEG", exif=exif)

    assert size_of_input(out.getvalue()) == size


def test_a_large_inputs_size_is_cut_to_what_the_models_make() -> None:
    out = io.BytesIO()
    Image.new("L", (4096, 1024)).save(out, "PNG")

    assert size_of_input(out.getvalue()) == (2048, 512)
