"""/my: a member's own choices, for every server."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.errors import UserError
from bot.jobs import Notify
from bot.studio import Studio
from cogs._replies import reply_privately
from cogs.ui.preferences import notify_view
from cogs.ui.wording import NOTIFY_CHOICES, Argument, Command


class NoSuchChoice(UserError):
    def __init__(self, given: str) -> None:
        super().__init__(
            "There is no choice {given}. Choose one of these: {choices}.",
            given=given,
            choices=tuple(value.value for value in NOTIFY_CHOICES),
        )


class My(commands.GroupCog, group_name="my", group_description=Command.MY):
    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=Command.NOTIFY)
    @app_commands.describe(how=Argument.HOW)
    @app_commands.choices(
        how=[
            app_commands.Choice(name=text, value=value.value)
            for value, text in NOTIFY_CHOICES.items()
        ]
    )
    async def notify(self, interaction: discord.Interaction[Any], how: str | None = None) -> None:
        preferences, user_id = self.studio.preferences, interaction.user.id
        if how is None:
            view = notify_view(await preferences.notify_of(user_id))
        else:
            chosen = _chosen(how)
            await preferences.choose_notify(user_id, chosen)
            view = notify_view(chosen, changed=True)
        await reply_privately(interaction, view)


def _chosen(given: str) -> Notify:
    """Return the choice of this value or label, in any case; NoSuchChoice for another text."""
    wanted = given.strip().casefold()
    for value, text in NOTIFY_CHOICES.items():
        label = text.casefold()
        if wanted in {value.casefold(), label, label.partition(":")[0]}:
            return value
    raise NoSuchChoice(given)
