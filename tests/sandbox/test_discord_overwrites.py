"""Permissions of members in channels and threads, in interactions and for every action."""

import pytest

from bot.sandbox.discord import ChannelKind, MemberError, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_gateway import line
from tests.sandbox.test_discord_messages import PNG, button, row
from tests.sandbox.test_discord_raw import ECHO, Api, api

__all__ = ["api"]  # the fixture


async def test_overwrites_are_applied_in_the_documented_order(api: Api) -> None:
    api.discord.set_permissions(api.guild, api.ann, may.MANAGE_MESSAGES)
    everyone, role = api.guild.roles[0], api.guild.roles[-1]
    discord, channel = api.discord, api.channel

    def allowed(permission: int) -> bool:
        return bool(channel.permissions_of(api.ann) & permission)

    discord.set_channel_permissions(channel, everyone, deny=may.SEND_MESSAGES | may.ATTACH_FILES)
    assert not allowed(may.SEND_MESSAGES)
    discord.set_channel_permissions(channel, role, allow=may.SEND_MESSAGES, deny=may.EMBED_LINKS)
    assert (allowed(may.SEND_MESSAGES), allowed(may.ATTACH_FILES)) == (True, False)
    discord.set_channel_permissions(channel, api.ann, allow=may.EMBED_LINKS, deny=may.SEND_MESSAGES)
    assert (allowed(may.SEND_MESSAGES), allowed(may.EMBED_LINKS)) == (False, True)
    assert allowed(may.MANAGE_MESSAGES)
    assert channel.permissions_of(api.guild.owner) == may.EVERY
    discord.set_permissions(api.guild, api.ann, may.ADMINISTRATOR)
    assert allowed(may.SEND_MESSAGES)


async def test_clients_learn_of_overwrites(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        api.discord.set_channel_permissions(api.channel, api.ann, deny=may.SEND_MESSAGES)
        set_one = await bot.event("CHANNEL_UPDATE")
        api.discord.set_channel_permissions(api.channel, api.ann)
        removed = await bot.event("CHANNEL_UPDATE")
        api.discord.set_role_permissions(api.guild, api.guild.roles[0], may.VIEW_CHANNEL)
        role = await bot.event("GUILD_ROLE_UPDATE")

    assert set_one["permission_overwrites"] == [
        {"id": str(api.ann.id), "type": 1, "allow": "0", "deny": str(may.SEND_MESSAGES)}
    ]
    assert removed["permission_overwrites"] == []
    assert role["role"]["permissions"] == str(may.VIEW_CHANNEL)


async def test_interactions_carry_the_permissions_of_the_member_in_the_channel(api: Api) -> None:
    api.discord.set_channel_permissions(
        api.channel, api.ann, allow=may.MANAGE_MESSAGES, deny=may.CREATE_PUBLIC_THREADS
    )
    thread = api.discord.add_channel(
        api.guild, "fox", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )
    await api.used()

    for place in (api.channel, thread):
        shown = (await api.discord.command(api.ann, place, "echo")).payload()
        granted = int(shown["member"]["permissions"])
        assert granted == may.EVERYONE & ~may.CREATE_PUBLIC_THREADS | may.MANAGE_MESSAGES
        assert shown["channel"]["permissions"] == str(granted)
    assert shown["channel"]["parent_id"] == str(api.channel.id)
    assert shown["channel"]["thread_metadata"]["archived"] is False


async def test_a_member_without_the_permission_uses_no_command_but_presses_buttons(
    api: Api,
) -> None:
    used = await api.used()
    await api.respond(used, 4, {"content": "x", "components": [row(button())]})
    api.discord.set_channel_permissions(api.channel, api.ann, deny=may.USE_APPLICATION_COMMANDS)
    assert used.message is not None

    with pytest.raises(MemberError):
        await api.used()
    pressed = await api.discord.click(api.ann, used.message, "a")

    granted = int(pressed.payload()["member"]["permissions"])
    assert not granted & may.USE_APPLICATION_COMMANDS


async def test_a_member_who_does_not_see_a_channel_does_nothing_there(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, {"content": "x", "components": [row(button())]})
    assert used.message is not None
    api.discord.set_channel_permissions(api.channel, api.ann, deny=may.VIEW_CHANNEL)

    with pytest.raises(MemberError):
        await api.discord.click(api.ann, used.message, "a")
    with pytest.raises(MemberError):
        await api.used()
    with pytest.raises(MemberError):
        await api.discord.say(api.ann, api.channel, "x")
    with pytest.raises(MemberError):
        api.discord.react(api.ann, used.message, "🎨")


async def test_writing_needs_the_permission_of_the_place(api: Api) -> None:
    thread = api.discord.add_channel(
        api.guild, "fox", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )
    file = Upload("a.png", PNG)
    everyone = api.guild.roles[0]

    api.discord.set_channel_permissions(api.channel, everyone, deny=may.SEND_MESSAGES)
    await api.discord.say(api.ann, thread, "x", [file])
    with pytest.raises(MemberError):
        await api.discord.say(api.ann, api.channel, "x")
    api.discord.set_channel_permissions(
        api.channel, everyone, deny=may.SEND_MESSAGES_IN_THREADS | may.ATTACH_FILES
    )
    await api.discord.say(api.ann, api.channel, "x")
    with pytest.raises(MemberError):
        await api.discord.say(api.ann, thread, "x")
    with pytest.raises(MemberError):
        await api.discord.say(api.ann, api.channel, "x", [file])


async def test_the_bot_deletes_the_messages_of_others_by_its_own_permission(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "x")
    path = f"/channels/{api.channel.id}/messages/{said.id}"

    refused, error = await api.call("DELETE", path)
    api.discord.set_channel_permissions(
        api.channel, api.discord.bot_user, allow=may.MANAGE_MESSAGES
    )
    deleted, _ = await api.call("DELETE", path)

    assert (refused, error["code"], deleted) == (403, 50013, 204)


async def test_a_locked_thread_is_for_moderators(api: Api) -> None:
    thread = api.discord.add_channel(
        api.guild, "fox", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )
    api.discord.archive_thread(thread, locked=True)

    with pytest.raises(MemberError):
        await api.discord.say(api.ann, thread, "x")
    api.discord.set_channel_permissions(api.channel, api.ann, allow=may.MANAGE_THREADS)
    await api.discord.say(api.ann, thread, "x")

    assert not thread.archived
    assert api.ann in thread.people


@pytest.mark.parametrize("allowed", [True, False])
async def test_without_external_apps_the_responses_of_ones_own_app_are_private(
    api: Api, allowed: bool
) -> None:
    await api.register(ECHO | {"integration_types": [0, 1], "contexts": [0, 1, 2]})
    if not allowed:
        everyone = api.guild.roles[0]
        api.discord.set_channel_permissions(api.channel, everyone, deny=may.USE_EXTERNAL_APPS)
    own = await api.discord.command(api.ann, api.channel, "echo", user_install_only=True)
    servers = await api.discord.command(api.ann, api.channel, "echo")

    _, first = await api.respond(own, 4, {"content": "x"})
    _, second = await api.respond(servers, 4, {"content": "x"})

    assert first["resource"]["message"]["flags"] == (0 if allowed else 64)
    assert second["resource"]["message"]["flags"] == 0
