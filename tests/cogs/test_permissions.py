"""Permissions of commands for buttons and replies, as Discord would decide for a typed command."""

import asyncio
from collections.abc import Mapping
from typing import Any

import discord
import pytest

from bot.app import App
from bot.sandbox.discord import Channel, ChannelKind, Role, User, permissions
from bot.sandbox.http.faults import Answer, Reset
from cogs._permissions import PermissionsUnread, decide, may_use
from tests.support.easel import Stage, gateway_of

SERVER, HERE, ADA, RED, BLUE = 100, 200, 300, 400, 500
EVERYBODY, ALL_CHANNELS = (1, 100), (3, 99)  # Discord's constants, by the kind of a setting
SETTINGS = r"/api/v10/applications/\d+/guilds/\d+/commands/permissions"

Given = Mapping[tuple[int, int], bool]


@pytest.mark.parametrize(
    ("own", "of_all", "allowed"),
    [
        ({}, {}, True),
        ({EVERYBODY: False}, {}, False),
        ({EVERYBODY: False, (1, RED): True}, {}, True),
        ({(1, RED): False, (1, BLUE): True}, {}, True),  # one role that allows suffices
        ({(1, RED): False, EVERYBODY: True}, {}, False),
        ({(1, RED): False, (2, ADA): True}, {}, True),
        ({(1, RED): True, (2, ADA): False}, {}, False),
        ({(3, HERE): False}, {}, False),
        ({(3, HERE): False, (2, ADA): True}, {}, False),  # the channel must be allowed, too
        ({ALL_CHANNELS: False}, {}, False),
        ({ALL_CHANNELS: False, (3, HERE): True}, {}, True),
        ({(3, 201): False, (2, 301): False, (1, 401): False}, {}, True),  # of others
        ({}, {EVERYBODY: False}, False),
        ({}, {EVERYBODY: False, (1, BLUE): True}, True),
        ({}, {ALL_CHANNELS: False}, False),
        ({(2, ADA): True}, {EVERYBODY: False}, True),
        ({(2, ADA): False}, {EVERYBODY: True}, False),
        ({(3, HERE): True}, {ALL_CHANNELS: False}, True),
        ({(3, HERE): True}, {EVERYBODY: False}, False),  # says nothing about the member
    ],
)
def test_the_order_of_the_settings(own: Given, of_all: Given, allowed: bool) -> None:
    assert decide([own, of_all], SERVER, HERE, ADA, [SERVER, RED, BLUE]) is allowed


async def may_edit(
    at: Stage, app: App, user: User, where: Channel, *, command: str = "edit"
) -> bool:
    """Ask as for the author of a message, whose roles Discord sends with the message."""
    client = gateway_of(app).client
    assert client is not None
    at.discord.world.join(at.server, user)
    async with asyncio.timeout(20):  # the servers follow the session
        while (guild := client.get_guild(at.server.id)) is None:
            await asyncio.sleep(0.01)
    data: Any = at.server.members[user.id].to_json()
    member = discord.Member(data=data, guild=guild, state=client._connection)
    return await may_use(client, guild, guild.get_channel_or_thread(where.id), member, command)


def asked(at: Stage) -> int:
    """Return how many times the settings were read."""
    return sum(each.path.endswith("/commands/permissions") for each in at.discord.requests)


async def test_without_settings_everybody_may_whom_the_channel_lets(at: Stage) -> None:
    other = at.discord.add_channel(at.server, "other")
    at.discord.set_channel_permissions(
        other, at.server.roles[0], deny=permissions.USE_APPLICATION_COMMANDS
    )
    at.discord.set_channel_permissions(other, at.ben, allow=permissions.USE_APPLICATION_COMMANDS)
    async with at.easel() as app:
        assert await may_edit(at, app, at.ada, at.channel)
        assert not await may_edit(at, app, at.ada, other)
        assert await may_edit(at, app, at.ben, other)


async def test_in_direct_messages_everybody_may(at: Stage) -> None:
    async with at.easel() as app:
        client = gateway_of(app).client
        assert client is not None
        user = await client.fetch_user(at.ada.id)
        assert await may_use(client, None, None, user, "edit")


async def test_the_settings_of_a_server_are_obeyed(at: Stage) -> None:
    async with at.easel() as app:
        everybody: Role = at.server.roles[0]
        at.discord.set_command_permissions(at.server, "edit", {everybody: False, at.ben: True})
        await at.command("help")  # the bot has heard of the change by now

        assert not await may_edit(at, app, at.ada, at.channel)
        assert await may_edit(at, app, at.ada, at.channel, command="imagine")
        assert await may_edit(at, app, at.ben, at.channel)
        assert await may_edit(at, app, at.server.owner, at.channel)
        assert asked(at) == 1


async def test_settings_for_all_commands_are_obeyed(at: Stage) -> None:
    async with at.easel() as app:
        at.discord.set_command_permissions(at.server, None, {at.channel: False})

        assert not await may_edit(at, app, at.ada, at.channel)
        at.discord.set_permissions(at.server, at.ada, permissions.ADMINISTRATOR)
        await at.command("help", by=at.server.owner)  # the bot knows the new role by now
        assert await may_edit(at, app, at.ada, at.channel)


async def test_a_thread_has_the_settings_of_its_channel(at: Stage) -> None:
    async with at.easel() as app:
        thread = at.discord.add_channel(
            at.server, "foxes", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
        )
        await at.imagine(where=thread)  # the bot knows the thread by now
        assert await may_edit(at, app, at.ada, thread)

        at.discord.set_command_permissions(at.server, "edit", {at.channel: False})
        await at.imagine(where=thread)
        assert not await may_edit(at, app, at.ada, thread)


async def test_settings_are_known_for_ten_minutes(at: Stage) -> None:
    async with at.easel() as app:
        assert await may_edit(at, app, at.ada, at.channel)
        at.clock.move(minutes=9)
        assert await may_edit(at, app, at.ben, at.channel)
        assert asked(at) == 1
        at.clock.move(minutes=2)
        assert await may_edit(at, app, at.ada, at.channel)
        assert asked(at) == 2


@pytest.mark.parametrize("fault", [Reset(), Answer(503, {}), Answer(200, b"<html>")])
async def test_nobody_may_while_discord_does_not_say(at: Stage, fault: Any) -> None:  # noqa: ANN401
    async with at.easel() as app:
        rule = at.discord.faults.add("GET", SETTINGS, fault, times=None)
        with pytest.raises(PermissionsUnread, match="Try again"):
            await may_edit(at, app, at.ada, at.channel)
        once = asked(at)
        with pytest.raises(PermissionsUnread):
            await may_edit(at, app, at.ben, at.channel)
        assert asked(at) == once  # others do not ask at once

        rule.remove()
        at.clock.move(seconds=11)
        assert await may_edit(at, app, at.ada, at.channel)
