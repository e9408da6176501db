"""Routes of the permissions of commands, which members set in a server's settings."""

from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord.request_body import Json, Refusal
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import World

COMMANDS: Final = "/applications/{application_id}/guilds/{guild_id}/commands"
ONE: Final = COMMANDS + "/{command_id}/permissions"
UNKNOWN: Final = (404, 10066, "Unknown application command permissions")


@dataclass
class PermissionRoutes:
    """Routes that must be added before `.../commands/{command_id}`."""

    world: World

    def routes(self) -> list[Route]:
        return [
            Route("GET", COMMANDS + "/permissions", self.get_all),
            Route("GET", ONE, self.get),
            Route("PUT", ONE, self.put),
        ]

    def _guild(self, call: Call) -> int:
        if call.id("application_id") != self.world.application_id:
            raise Refusal(403, 20012, "You are not authorized to perform this action")
        return self.world.guild_for_bot(call.id("guild_id")).id

    async def get_all(self, call: Call) -> Reply:
        return Reply(200, self.world.command_permissions.in_guild(self._guild(call)))

    async def get(self, call: Call) -> Reply:
        guild, command = self._guild(call), call.id("command_id")
        if not self._known(guild, command):
            raise Refusal(404, 10063, "Unknown application command")
        if (guild, command) not in self.world.command_permissions.found:
            raise Refusal(*UNKNOWN)
        return Reply(200, self.world.command_permissions.to_json(guild, command))

    def _known(self, guild: int, command: int) -> bool:
        """Return whether an id is that of a command here, or of the application for all."""
        scopes = (None, str(guild))
        here: list[Json] = [item for item in self.world.commands if item.get("guild_id") in scopes]
        ids = {item["id"] for item in here} | {str(self.world.application_id)}
        return str(command) in ids

    async def put(self, call: Call) -> Reply:
        """Refuse a bot: only a member's own access token may change permissions."""
        self._guild(call)
        raise Refusal(403, 20001, "Bots cannot use this endpoint")
