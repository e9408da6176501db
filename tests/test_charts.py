"""Charts: PNG files that a phone shows readably, drawn one at a time."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

import pytest
from PIL import Image

from bot import charts
from bot.charts import ChartFailed, days_chart
from cogs.ui.wording import Report, Usage

FIRST = date(2026, 10, 29)
IMPORTS = (
    "import sys, bot.__main__, bot.app, bot.client, cogs.usage; "
    "raise SystemExit('matplotlib' in sys.modules)"
)
PHONE = 250  # pixels of a picture in a message, on a phone of 360
BAR = (0x5B, 0x6E, 0xE1)
HIGHEST = (0x9A, 0xA7, 0xF5)


def days(amounts: Sequence[int]) -> list[tuple[date, int]]:
    return [(FIRST + timedelta(days=day), amount) for day, amount in enumerate(amounts)]


async def drawn(*amounts: int) -> Image.Image:
    data = await days_chart(days(amounts), title="Used each day", unit="credits")
    assert len(data) <= 60_000
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    return picture.convert("RGB")


def bars(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """Count the bars of a colour, in the row of pixels that has the most of them."""
    counts = []
    for y in range(0, picture.height, 2):
        row = [picture.getpixel((x, y)) == colour for x in range(picture.width)]
        counts.append(sum(here and not left for left, here in pairwise([False, *row])))
    return max(counts)


async def test_each_day_with_use_has_a_bar_and_the_dearest_one_another_colour() -> None:
    picture = await drawn(*(7500 * (day + 1) for day in range(30)))

    assert bars(picture, BAR) == 29
    assert bars(picture, HIGHEST) == 1


@pytest.mark.parametrize("title", [Usage.CHART, Report.CHART])
async def test_the_title_does_not_reach_the_unit(title: str) -> None:
    data = await days_chart(days([7500]), title=title, unit=Report.UNIT)
    head = Image.open(io.BytesIO(data)).convert("L").crop((0, 0, 800, 60))
    dark = head.getpixel((0, 0))
    lit = [x for x in range(head.width) if head.crop((x, 0, x + 1, 60)).getextrema()[1] != dark]
    assert max(after - before for before, after in pairwise(lit)) >= 60


@pytest.mark.parametrize(
    ("amounts", "shown"),
    [
        ([5000], 0),
        ([0] * 30, 0),
        ([-3000, *[1000] * 29], 28),
        ([1, 2, 3], 2),
        ([2**53, *[10**12] * 400], 0),
    ],
    ids=["one day", "no use", "below zero", "thousandths", "huge"],
)
async def test_odd_amounts_are_drawn_too(amounts: list[int], shown: int) -> None:
    picture = await drawn(*amounts)

    if shown:
        assert bars(picture, BAR) >= shown


def test_the_letters_are_large_enough_on_a_phone() -> None:
    width = charts.SIZE[0] * charts.DPI

    assert charts.TEXT / 72 * charts.DPI * PHONE / width >= 11


def test_few_days_are_named_and_the_last_one_always() -> None:
    for count in range(1, 400):
        marked = charts._marked(count)
        assert marked[-1] == count - 1
        assert len(marked) <= charts.TICKS
        assert len({later - one for one, later in pairwise(marked)}) <= 1


async def test_many_charts_at_once_are_all_drawn() -> None:
    pictures = await asyncio.gather(*(drawn(1000 * each) for each in range(1, 6)))

    assert all(picture.size == pictures[0].size for picture in pictures)


async def test_the_event_loop_goes_on_meanwhile() -> None:
    drawing = asyncio.create_task(drawn(*range(30)))
    turns = 0
    while not drawing.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 3  # a loop that draws itself has one turn


async def test_a_chart_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "TIMEOUT", 0)
    with pytest.raises(ChartFailed, match="within 0 s"):
        await drawn(1000)


async def test_an_error_of_the_library_is_a_failed_chart() -> None:
    def number(_: int) -> str:
        raise ZeroDivisionError

    with pytest.raises(ChartFailed, match="ZeroDivisionError"):
        await days_chart(days([1]), title="", unit="", number=number)


@pytest.mark.parametrize("title", ["$x$ & <b>", "50 % \\frac", "$\\frac$"])
async def test_a_title_is_no_formula(title: str) -> None:
    assert await days_chart(days([1]), title=title, unit="$") != b""


@pytest.mark.long
def test_a_start_of_the_program_does_not_import_the_library() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTS], check=False)  # noqa: S603

    assert ended.returncode == 0
