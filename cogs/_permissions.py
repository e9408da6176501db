"""Who may use a command without typing one: by a button, or by a reply to a result.

Discord checks a command itself, and does not check anything else. The rules are those of Discord's
clients (docs/internals/discord.md, Permissions of commands).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import discord

from bot.errors import UserError
from cogs._replies import REFUSED, UNKNOWN_OUTCOME, UNREADABLE
from cogs.delivery.member_roles_workaround import role_ids_of
from cogs.delivery.route import Where, granted_in
from cogs.delivery.timeouts import QUERY_TIMEOUT, within

log = logging.getLogger(__name__)

T = TypeVar("T")

KNOWN_FOR = timedelta(minutes=10)
ASKED_AGAIN_AFTER = timedelta(seconds=10)  # when Discord has not answered
MOST_SERVERS = 1000  # whose settings are known, those read last
ROLE, USER, CHANNEL = 1, 2, 3  # Discord's kinds of settings

Settings = Mapping[tuple[int, int], bool]  # by the kind and the id of the target


class PermissionsUnread(UserError):
    def __init__(self) -> None:
        super().__init__("Discord does not say who may use this bot here. Try again in a minute.")


@dataclass(slots=True)
class _Server:
    """The settings of one server, by the id of the command; those for all by the application's."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settings: Mapping[int, Settings] | None = None  # None if Discord has not answered
    until: datetime | None = None  # when Discord is asked again; None before the first time


class CommandPermissions:
    """The settings that servers have made for the bot's commands, as Discord has answered."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._servers: dict[int, _Server] = {}
        self._commands: Mapping[str, frozenset[int]] = {}  # the ids by the names
        self._commands_until: datetime | None = None

    def forget(self, guild_id: int) -> None:
        """Read the settings of a server again: a manager has changed them."""
        self._servers.pop(guild_id, None)

    async def levels(self, client: discord.Client, guild_id: int, name: str) -> Sequence[Settings]:
        """Return the settings of a command, then those of all commands. PermissionsUnread."""
        server = self._servers.pop(guild_id, None) or _Server()
        self._servers[guild_id] = server  # the newest last
        if len(self._servers) > MOST_SERVERS:
            del self._servers[next(iter(self._servers))]
        async with server.lock:
            settings = await self._settings(client, guild_id, server)
        application_id = client.application_id or 0
        ids = await self._ids(client, name) if settings.keys() - {application_id} else frozenset()
        own = next((settings[each] for each in ids if each in settings), {})
        return own, settings.get(application_id, {})

    async def _settings(
        self, client: discord.Client, guild_id: int, server: _Server
    ) -> Mapping[int, Settings]:
        if server.until is None or self._now() >= server.until:
            server.settings, server.until = None, self._now() + ASKED_AGAIN_AFTER
            request = client.http.get_guild_application_command_permissions(
                client.application_id or 0, guild_id
            )
            server.settings = await _answer(client, request, _settings_of)
            server.until = self._now() + KNOWN_FOR
        if server.settings is None:
            raise PermissionsUnread
        return server.settings

    async def _ids(self, client: discord.Client, name: str) -> frozenset[int]:
        """Return the ids of the commands with a name: of a chat command, and of menus."""
        if self._commands_until is None or self._now() >= self._commands_until:
            request = client.http.get_global_commands(client.application_id or 0)
            self._commands = await _answer(client, request, _ids_of)
            self._commands_until = self._now() + KNOWN_FOR
        return self._commands.get(name, frozenset())


@runtime_checkable
class HasPermissions(Protocol):
    """The part of EaselClient that knows the settings of servers."""

    command_permissions: CommandPermissions


async def may_use(
    client: discord.Client,
    guild: discord.Guild | None,
    channel: Where,
    member: discord.Member | discord.User,
    command_name: str,
) -> bool:
    """Return whether a member may use a command in a channel.

    In direct messages everybody may. In a server: administrators; others with Use Application
    Commands in the channel, if the server's settings do not forbid the command there (`decide`).
    PermissionsUnread if Discord does not tell the settings now.
    """
    if guild is None:
        return True
    if not isinstance(member, discord.Member) or not isinstance(client, HasPermissions):
        return False
    granted = granted_in(channel, member)
    if granted.administrator:
        return True
    if not granted.use_application_commands:
        return False
    levels = await client.command_permissions.levels(client, guild.id, command_name)
    return decide(levels, guild.id, _place(channel), member.id, role_ids_of(member))


def _place(channel: Where) -> int:
    """Return the id of a channel, or of that of a thread, to which settings refer."""
    if isinstance(channel, discord.Thread):
        return channel.parent_id
    return channel.id if channel is not None else 0


def decide(
    levels: Sequence[Settings],
    guild_id: int,
    channel_id: int,
    user_id: int,
    role_ids: Collection[int],
) -> bool:
    """Return whether settings let a member use a command in a channel.

    `levels` are the settings of the command, then those of all commands of the bot: the second
    count only if the first say nothing. Both the channel and the member must be allowed. For the
    channel: the channel's own setting, then that of all channels. For the member: the member's own
    setting, then those of the roles, of which one that allows suffices, then that of everybody.
    Without any setting, a command may be used.
    """
    everybody, all_channels = guild_id, guild_id - 1  # Discord's constants
    roles = [each for each in role_ids if each != everybody]
    places = (_channel(level, channel_id, all_channels) for level in levels)
    people = (_member(level, user_id, roles, everybody) for level in levels)
    return _first(places) is not False and _first(people) is not False


def _channel(level: Settings, channel_id: int, all_channels: int) -> bool | None:
    return _first(level.get((CHANNEL, each)) for each in (channel_id, all_channels))


def _member(level: Settings, user_id: int, roles: Iterable[int], everybody: int) -> bool | None:
    by_roles = [level[ROLE, each] for each in roles if (ROLE, each) in level]
    return _first(
        (
            level.get((USER, user_id)),
            any(by_roles) if by_roles else None,
            level.get((ROLE, everybody)),
        )
    )


def _first(answers: Iterable[bool | None]) -> bool | None:
    return next((each for each in answers if each is not None), None)


def _settings_of(answer: Sequence[Mapping[str, Any]]) -> Mapping[int, Settings]:
    return {
        int(command["id"]): {
            (int(each["type"]), int(each["id"])): bool(each["permission"])
            for each in command["permissions"]
        }
        for command in answer
    }


def _ids_of(answer: Sequence[Mapping[str, Any]]) -> Mapping[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for each in answer:
        found[each["name"]] = found.get(each["name"], frozenset()) | {int(each["id"])}
    return found


async def _answer(client: discord.Client, request: Awaitable[Any], read: Callable[[Any], T]) -> T:
    """Return an answer of Discord as `read` by this. PermissionsUnread."""
    try:
        async with within(client, QUERY_TIMEOUT):
            return read(await request)
    except (*REFUSED, *UNKNOWN_OUTCOME, *UNREADABLE) as error:
        log.warning("permissions of commands not read: %r", error)
        raise PermissionsUnread from error
