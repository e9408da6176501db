"""The part of Easel that members see, on top of discord.py.

A cog reads the arguments of a command, calls the studio and replies. Files with a leading
underscore hold parts that several cogs share; `buttons` handles presses, `ui` holds views and
wording, `delivery` posts results. Only bot/client.py, bot/discord_session.py and bot/opening.py
import from here.
"""

from cogs._access import is_served
from cogs._menu_forms import MenuForms
from cogs._menu_tokens import MenuTokens
from cogs._permissions import CommandPermissions
from cogs._replies import reply_error
from cogs.buttons import handle_interaction

__all__ = [
    "CommandPermissions",
    "MenuForms",
    "MenuTokens",
    "handle_interaction",
    "is_served",
    "reply_error",
]
