"""Access: one check for every interaction, of its member and its server."""

import asyncio
from typing import Any

import discord

from bot.errors import UserError
from cogs._permissions import PermissionsUnread, may_use
from cogs._replies import reply_error, studio_of
from cogs.delivery.route import is_present, member_of

PERMISSIONS_TIMEOUT = 1.2  # seconds: Discord accepts a first reply within 3 s
# For everybody, blocked or not, in any server: to read the help, to stop an own job, and for the
# member's own data.
OPEN_COMMANDS = frozenset({"help", "cancel", "privacy", "mydata export", "mydata delete"})


async def is_served(interaction: discord.Interaction[Any]) -> bool:
    """Return whether a command, or a completion of its options, may go on; else refuse it."""
    command = interaction.command
    if command is not None and command.qualified_name in OPEN_COMMANDS:
        return True
    try:
        check_access(interaction)
    except UserError as error:
        if interaction.type is discord.InteractionType.autocomplete:
            await interaction.response.autocomplete([])
        else:
            await reply_error(interaction, error)
        return False
    return True


def check_access(interaction: discord.Interaction[Any]) -> None:
    """Raise a UserError if the operator does not serve this member, or this server."""
    studio_of(interaction).check_member(member_of(interaction))


class CommandNotAllowed(UserError):
    def __init__(self, command: str) -> None:
        super().__init__(
            "You may not use /{command} in this channel. Ask a moderator of this server.",
            command=command,
        )


async def check_may_use(interaction: discord.Interaction[Any], command: str) -> None:
    """Raise CommandNotAllowed if the server does not let the member use a command here.

    Discord checks that for commands, and not for buttons. A server where the bot is not installed
    has no settings for the bot's commands. Raises PermissionsUnread.
    """
    granted = interaction.permissions
    if interaction.guild_id is None or granted.administrator:
        return
    if not granted.use_application_commands:
        raise CommandNotAllowed(command)
    if is_present(interaction) and not await _may_use(interaction, command):
        raise CommandNotAllowed(command)


async def _may_use(interaction: discord.Interaction[Any], command: str) -> bool:
    where, member = (interaction.guild, interaction.channel), interaction.user
    try:
        async with asyncio.timeout(PERMISSIONS_TIMEOUT):
            return await may_use(interaction.client, *where, member, command)
    except TimeoutError:
        raise PermissionsUnread from None
