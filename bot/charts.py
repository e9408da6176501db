"""Charts as PNG files, by matplotlib, which is imported with the first chart.

One thread draws all charts, because matplotlib is not safe for several: a chart waits for those
before it, and a chart whose caller has stopped waiting is not begun.
"""

import asyncio
import io
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

from bot.errors import EaselError
from bot.ledger import credits_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ChartFailed", "days_chart"]

TIMEOUT = 10.0  # seconds, with the wait for other charts and the import
# A phone of 360 pixels shows a picture in a message 250 wide: letters are 11 pixels high there.
DPI = 100
SIZE = (8.0, 5.6)  # inches
TEXT, TITLE = 26, 28  # points
TICKS = 3  # days that are named, at most
# Discord's dark theme, and the colour of Easel's messages.
BACKGROUND, LINES, WORDS, STRONG = "#2b2d31", "#4e5058", "#dbdee1", "#ffffff"
BAR, HIGHEST_BAR = "#5b6ee1", "#9aa7f5"

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chart")
Number = Callable[[int], str]


class ChartFailed(EaselError):
    """There is no chart: matplotlib has failed, or is too slow at the moment."""


async def days_chart(
    days: Sequence[tuple[date, int]], *, title: str, unit: str, number: Number = credits_text
) -> bytes:
    """Return a PNG with a bar for each day, of at least one day, in order.

    Amounts are thousandths of a credit; `number` writes them for people. The font has letters of
    Europe alone. Raises ChartFailed.
    """
    drawing = asyncio.get_running_loop().run_in_executor(
        _THREAD, lambda: _draw(days, title=title, unit=unit, number=number)
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            return await drawing
    except TimeoutError as error:
        raise ChartFailed(f"no chart within {TIMEOUT:g} s") from error
    except Exception as error:  # of a library that was written for people who see the traceback
        raise ChartFailed(repr(error)) from error


def _draw(days: Sequence[tuple[date, int]], *, title: str, unit: str, number: Number) -> bytes:
    figure = _new_figure()
    axes = figure.add_subplot()
    amounts = [amount / 1000 for _, amount in days]
    highest = max(range(len(days)), key=amounts.__getitem__)
    colours = [HIGHEST_BAR if each == highest else BAR for each in range(len(days))]
    axes.bar(range(len(days)), amounts, width=0.72, color=colours)
    _label(axes, days, highest, number=number)
    shared: dict[str, Any] = {"pad": 24, "parse_math": False}
    axes.set_title(title, loc="left", color=STRONG, fontsize=TITLE, fontweight="bold", **shared)
    axes.set_title(unit, loc="right", color=WORDS, fontsize=TEXT, **shared)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor=BACKGROUND, metadata={"Software": None})
    return file.getvalue()


def _label(axes: "Axes", days: Sequence[tuple[date, int]], highest: int, *, number: Number) -> None:
    """Name some days and the highest amount; draw nothing but lines of the other amounts."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    top, lowest = days[highest][1] / 1000, min(0, *(amount / 1000 for _, amount in days))
    axes.set_facecolor(BACKGROUND)
    middle, half = (len(days) - 1) / 2, max(len(days), 4) / 2 + 0.1  # no bar is a wall
    axes.set_xlim(middle - half, middle + half)
    axes.set_ylim(lowest * 1.15, max(top, 0.001) * 1.2 if top > 0 else 1)
    marked = _marked(len(days))
    axes.set_xticks(marked, [f"{days[each][0]:%d %b}".lstrip("0") for each in marked])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(round(value * 1000))))
    axes.tick_params(colors=WORDS, labelsize=TEXT, length=0, pad=8)
    axes.tick_params(axis="x", pad=22)  # below the 0 of the other axis, also under the first bar
    axes.grid(axis="y", color=LINES, linewidth=1.2)
    axes.set_axisbelow(True)
    for side, line in axes.spines.items():
        line.set_visible(side == "bottom")
        line.set_color(LINES)
    if top > 0:
        edge = {0: "left", len(days) - 1: "right"} if len(days) > 4 else {}
        text = axes.annotate(
            number(days[highest][1]),
            (highest, top),
            xytext=(0, 6),
            textcoords="offset points",
            ha=edge.get(highest, "center"),
        )
        text.set(color=STRONG, fontsize=TEXT)


def _marked(count: int) -> list[int]:
    """Return the positions of the days that are named: at even distances, up to the last one."""
    step = max(-(-(count - 1) // (TICKS - 1)), 1)
    return [each for each in range(count - 1, -1, -step)][::-1]


def _new_figure() -> "Figure":
    """Return a figure that draws into memory; import matplotlib with the first one.

    At its import, matplotlib stores the names of the machine's fonts in a folder of the user, which
    a service may not have: a temporary folder takes them. Only its own font is used.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="easel-charts-") as folder:
        before = os.environ.get("MPLCONFIGDIR")
        os.environ["MPLCONFIGDIR"] = folder
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
            from matplotlib.layout_engine import ConstrainedLayoutEngine
        finally:
            if before is None:
                del os.environ["MPLCONFIGDIR"]
            else:
                os.environ["MPLCONFIGDIR"] = before
    figure = Figure(figsize=SIZE, layout=ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2))
    FigureCanvasAgg(figure)
    return figure
