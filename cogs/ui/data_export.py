"""The messages of `/mydata export`: the private reply that shows the progress, and the files."""

from typing import Any

from discord import ui

from bot.studio.export import Part
from cogs.ui.panel import panel
from cogs.ui.wording import DataExport, plural


def begun_view(*, here: bool) -> ui.LayoutView:
    """Return the reply before the first file, which follows `here` or by direct message."""
    return panel(DataExport.TITLE, DataExport.BEGUN_HERE if here else DataExport.BEGUN)


def progress_view(part: Part, *, here: bool, closed: bool) -> ui.LayoutView:
    """Return the reply after a file was sent.

    `closed` says that the files follow here because direct messages are closed.
    """
    lines = [DataExport.TITLE, *([DataExport.CLOSED] if closed else [])]
    if part.is_last:
        lines.append(plural(DataExport.SENT_HERE if here else DataExport.SENT, part.number))
        if part.left_out:
            lines.append(plural(DataExport.LEFT_OUT, part.left_out))
    else:
        lines.append(DataExport.PROGRESS.format(number=part.number, total=part.total))
    return panel(*lines)


def part_view(part: Part) -> ui.LayoutView:
    """Return the message with a file, which is uploaded with it."""
    text = DataExport.PART
    if part.is_last:
        text = DataExport.LAST if part.number > 1 else DataExport.ALONE
    return panel(
        DataExport.TITLE,
        text.format(number=part.number, total=part.total),
        ui.File[Any](f"attachment://{part.name}"),
        DataExport.README,
    )
