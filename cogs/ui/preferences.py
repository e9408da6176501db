"""The private replies to `/my`."""

from discord import ui

from bot.jobs import Notify
from cogs.ui.panel import panel
from cogs.ui.wording import NOTIFY_CHOICES, Preferences


def notify_view(notify: Notify, *, changed: bool = False) -> ui.LayoutView:
    """Return how results reach the member, from now on if that was `changed`."""
    text = Preferences.NOTIFY_CHANGED if changed else Preferences.NOTIFY
    return panel(text.format(choice=NOTIFY_CHOICES[notify]), Preferences.SCOPE)
