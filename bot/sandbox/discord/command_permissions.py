"""Permissions of commands: who may use a command, by a server's settings."""

from dataclasses import dataclass, field
from typing import Final

from bot.sandbox.discord.guilds import Guild, Role
from bot.sandbox.discord.models import Channel, User
from bot.sandbox.discord.request_body import Json

ROLE, USER, CHANNEL = 1, 2, 3
MOST: Final = 100  # for one command

Target = Role | User | Channel


@dataclass
class CommandPermissions:
    """The settings by server and command. Those of the application's own id hold for all commands
    without settings."""

    application_id: int
    found: dict[tuple[int, int], list[Json]] = field(default_factory=dict)

    def set(self, guild: Guild, command: int, given: dict[Target, bool]) -> Json:
        """Replace the settings of a command, and return their form in the API."""
        if len(given) > MOST:
            raise ValueError(f"a command has at most {MOST} settings")
        kinds = {Role: ROLE, User: USER, Channel: CHANNEL}
        self.found[guild.id, command] = [
            {"id": str(target.id), "type": kinds[type(target)], "permission": allowed}
            for target, allowed in given.items()
        ]
        return self.to_json(guild.id, command)

    def to_json(self, guild_id: int, command: int) -> Json:
        return {
            "id": str(command),
            "application_id": str(self.application_id),
            "guild_id": str(guild_id),
            "permissions": self.found[guild_id, command],
        }

    def in_guild(self, guild_id: int) -> list[Json]:
        return [self.to_json(where, command) for where, command in self.found if where == guild_id]

    def decide(self, command: int, user: User, channel: Channel) -> bool | None:
        """Return whether the settings allow or deny a member; None if they say nothing.

        The channel must allow the command; then the member's own setting decides, then the roles'
        (one that allows suffices), then that of everybody.
        """
        guild = channel.guild
        if guild is None:
            return None
        here = (channel.parent or channel) if channel.is_thread else channel
        everywhere = guild.id - 1  # Discord's constant for all channels
        if self._setting(guild, command, CHANNEL, here.id, everywhere) is False:
            return False
        own = self._setting(guild, command, USER, user.id)
        if own is not None:
            return own
        member = guild.members[user.id]
        settings = [self._setting(guild, command, ROLE, role.id) for role in member.roles]
        if True in settings:
            return True
        return False if False in settings else self._setting(guild, command, ROLE, guild.id)

    def _setting(self, guild: Guild, command: int, kind: int, *ids: int) -> bool | None:
        """Return the first setting for one of the ids: the command's own, else that of all."""
        for owner in (command, self.application_id):
            entries = self.found.get((guild.id, owner), [])
            known = {int(each["id"]): each for each in entries if each["type"] == kind}
            for number in ids:
                if number in known:
                    return bool(known[number]["permission"])
        return None
