"""Reactions, pins, deletions and command permissions of the stand-in."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from bot.sandbox.discord import FakeDiscord, MemberError, Message
from bot.sandbox.discord import permissions as may
from bot.sandbox.discord.command_permissions import Target
from tests.sandbox.test_discord_gateway import GUILDS, USUAL, line
from tests.sandbox.test_discord_raw import ECHO, Api, api

__all__ = ["api"]  # the fixture

REACTIONS = 1 << 10
FOX = quote("🦊")


async def said(api: Api, text: str = "x") -> tuple[Message, str]:
    """Return a message of a member, and its path."""
    message = await api.discord.say(api.ann, api.channel, text)
    return message, f"/channels/{api.channel.id}/messages/{message.id}"


async def test_reactions_come_and_go(api: Api) -> None:
    message, path = await said(api)
    async with line(api) as bot, line(api) as quiet:
        await bot.ready(USUAL | REACTIONS)
        await quiet.ready(USUAL)
        put, _ = await api.call("PUT", f"{path}/reactions/{FOX}/@me")
        await api.call("PUT", f"{path}/reactions/{FOX}/@me")
        api.discord.react(api.ann, message, "🦊")
        first, second = [await bot.event("MESSAGE_REACTION_ADD") for _ in range(2)]
        _, users = await api.call("GET", f"{path}/reactions/{FOX}?limit=1&after=1")
        _, shown = await api.call("GET", path)
        gone, _ = await api.call("DELETE", f"{path}/reactions/{FOX}/@me")
        api.discord.unreact(api.ann, message, "🦊")
        removed = await bot.event("MESSAGE_REACTION_REMOVE")
        api.discord.delete(api.ann, message)
        assert await quiet.event("MESSAGE_DELETE") == {
            "id": str(message.id),
            "channel_id": str(api.channel.id),
            "guild_id": str(api.guild.id),
        }

    me = str(api.discord.bot_user.id)
    assert (put, first["user_id"], second["user_id"]) == (204, me, str(api.ann.id))
    assert first["emoji"] == {"id": None, "name": "🦊"}
    assert second["member"]["user"]["id"] == str(api.ann.id)
    assert len(users) == 1
    [reaction] = shown["reactions"]
    assert (reaction["count"], reaction["me"]) == (2, True)
    assert (gone, removed["user_id"], message.reactions.found) == (204, me, {})
    assert not any("REACTION" in (payload["t"] or "") for payload in quiet.seen)


async def test_custom_reactions_are_named_with_their_id(api: Api) -> None:
    emoji = api.discord.add_emoji(api.guild, "fox", animated=True)
    _, path = await said(api)

    status, _ = await api.call("PUT", f"{path}/reactions/fox:{emoji.id}/@me")
    _, shown = await api.call("GET", path)
    unknown, body = await api.call("PUT", f"{path}/reactions/fox:1/@me")

    assert status == 204
    assert shown["reactions"][0]["emoji"] == {
        "id": str(emoji.id),
        "name": "fox",
        "animated": True,
    }
    assert (unknown, body["code"]) == (400, 10014)


@pytest.mark.parametrize(
    ("method", "rest", "missing", "code"),
    [
        ("PUT", "smile/@me", 0, 10014),
        ("PUT", f"{FOX}/@me", may.ADD_REACTIONS, 50013),
        ("PUT", f"{FOX}/@me", may.READ_MESSAGE_HISTORY, 50013),
        ("PUT", f"{FOX}/@me", may.VIEW_CHANNEL, 50001),
        ("DELETE", f"{FOX}/@me", 0, 10014),
        ("DELETE", FOX, 0, 50013),
        ("DELETE", f"{FOX}/{{ann}}", 0, 50013),
        ("DELETE", "", 0, 50013),
        ("GET", FOX, 0, 10014),
        ("GET", f"{FOX}?limit=101", 0, 50035),
    ],
)
async def test_wrong_reactions_are_refused(
    api: Api, method: str, rest: str, missing: int, code: int
) -> None:
    _, path = await said(api)
    api.discord.set_bot_permissions(api.channel, may.EVERYONE & ~missing)

    rest = rest.format(ann=api.ann.id)
    _, body = await api.call(method, f"{path}/reactions/{rest}".rstrip("/"))

    assert body["code"] == code


async def test_a_message_has_twenty_different_reactions(api: Api) -> None:
    message, path = await said(api)
    for number in range(20):
        api.discord.react(api.ann, message, chr(0x1F600 + number))

    status, body = await api.call("PUT", f"{path}/reactions/{FOX}/@me")
    same, _ = await api.call("PUT", f"{path}/reactions/{quote(chr(0x1F600))}/@me")

    assert (status, body["code"], same) == (400, 30010, 204)


async def test_moderators_remove_the_reactions_of_others(api: Api) -> None:
    message, path = await said(api)
    api.discord.set_bot_permissions(api.channel, may.EVERYONE | may.MANAGE_MESSAGES)
    async with line(api) as bot:
        await bot.ready(USUAL | REACTIONS)
        for rest in (f"/{FOX}/{api.ann.id}", f"/{FOX}", ""):
            api.discord.react(api.ann, message, "🦊")
            assert (await api.call("DELETE", f"{path}/reactions{rest}"))[0] == 204
            assert message.reactions.found == {}
        for name in ("REMOVE", "REMOVE_EMOJI", "REMOVE_ALL"):
            assert (await bot.event(f"MESSAGE_REACTION_{name}"))["message_id"] == str(message.id)


@pytest.mark.parametrize("pins", ["messages/pins", "pins"])
async def test_messages_are_pinned_and_said_to_be(api: Api, pins: str) -> None:
    api.discord.set_bot_permissions(api.channel, may.EVERYONE | may.PIN_MESSAGES)
    message, path = await said(api, "keep")
    where = f"/channels/{api.channel.id}/{pins}"
    async with line(api) as bot:
        await bot.ready()
        pinned, _ = await api.call("PUT", f"{where}/{message.id}")
        changed = await bot.event("CHANNEL_PINS_UPDATE")
        notice = await bot.event("MESSAGE_CREATE")
    _, shown = await api.call("GET", path)
    _, listed = await api.call("GET", where)
    found = listed if pins == "pins" else [item["message"] for item in listed["items"]]
    refused, body = await api.call("PUT", f"{where}/{notice['id']}")
    unpinned, _ = await api.call("DELETE", f"{where}/{message.id}")

    assert (pinned, shown["pinned"], unpinned) == (204, True, 204)
    assert changed["last_pin_timestamp"] is not None
    assert (notice["type"], notice["message_reference"]["message_id"]) == (6, str(message.id))
    assert [each["id"] for each in found] == [str(message.id)]
    assert (refused, body["code"], message.pinned_at) == (403, 50021, None)


async def test_pins_have_a_permission_and_pages(api: Api) -> None:
    where = f"/channels/{api.channel.id}/messages/pins"
    messages = [(await said(api, str(n)))[0] for n in range(3)]
    refused, body = await api.call("PUT", f"{where}/{messages[0].id}")
    api.discord.set_permissions(api.guild, api.ann, may.PIN_MESSAGES)
    for message in messages:
        api.discord.pin(api.ann, message)

    _, page = await api.call("GET", f"{where}?limit=2")
    before = quote(page["items"][-1]["pinned_at"])
    _, rest = await api.call("GET", f"{where}?limit=2&before={before}")
    wrong, _ = await api.call("GET", f"{where}?limit=51")

    assert (refused, body["code"], wrong) == (403, 50013, 400)
    assert ([len(each["items"]) for each in (page, rest)], page["has_more"]) == ([2, 1], True)
    assert rest["has_more"] is False


@pytest.mark.parametrize(
    "act",
    [
        lambda discord, ben, message: discord.delete(ben, message),
        lambda discord, ben, message: discord.pin(ben, message),
        lambda discord, ben, message: discord.react(ben, message, "x"),
    ],
)
async def test_members_need_permissions_too(
    api: Api, act: "Callable[[FakeDiscord, object, Message], None]"
) -> None:
    message, _ = await said(api)

    with pytest.raises(MemberError):
        act(api.discord, api.discord.add_user("Ben"), message)


async def test_a_server_sets_who_may_use_a_command(api: Api) -> None:
    await api.register(ECHO)
    ben, number = api.discord.add_user("Ben"), api.discord.commands[0]["id"]
    base = f"/applications/{api.discord.application_id}/guilds/{api.guild.id}/commands"
    other = api.discord.add_channel(api.guild, "other")

    none, nothing = await api.call("GET", f"{base}/{number}/permissions")
    async with line(api) as bot:
        await bot.ready(GUILDS)
        given: dict[Target, bool] = {api.guild.roles[0]: False, api.ann: True, other: False}
        api.discord.set_command_permissions(api.guild, "echo", given)
        event = await bot.event("APPLICATION_COMMAND_PERMISSIONS_UPDATE")
    _, one = await api.call("GET", f"{base}/{number}/permissions")
    _, every = await api.call("GET", f"{base}/permissions")
    put, refusal = await api.call("PUT", f"{base}/{number}/permissions", {"permissions": []})

    assert (none, nothing["code"], put, refusal["code"]) == (404, 10066, 403, 20001)
    assert event == one == every[0]
    assert [(item["type"], item["permission"]) for item in one["permissions"]] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    await api.discord.command(api.ann, api.channel, "echo")
    for user, channel in ((ben, api.channel), (api.ann, other)):
        with pytest.raises(MemberError, match="forbid"):
            await api.discord.command(user, channel, "echo")


async def test_settings_for_all_commands_hold_where_a_command_has_none(api: Api) -> None:
    await api.register({**ECHO, "default_member_permissions": str(may.MANAGE_GUILD)})
    with pytest.raises(MemberError):
        await api.discord.command(api.ann, api.channel, "echo")

    api.discord.set_permissions(api.guild, api.ann, 0)
    api.discord.set_command_permissions(api.guild, None, {api.guild.roles[-1]: True})
    await api.discord.command(api.ann, api.channel, "echo")
