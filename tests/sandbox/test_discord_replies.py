"""Replies of members and of the bot, other bots, webhooks, and who sees which content."""

from typing import Any

import pytest

from bot.sandbox.discord import Channel, FakeDiscord, MemberError, Message, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_gateway import CONTENT, USUAL, line
from tests.sandbox.test_discord_messages import PNG, V2, button, gallery, row
from tests.sandbox.test_discord_raw import Api, api, api_of, codes

__all__ = ["api"]  # the fixture

FIELDS = ("content", "attachments", "components", "embeds")


async def result(api: Api) -> Message:
    """Return a message of the bot with a picture and a button, as it posts to a channel."""
    components = [gallery("attachment://fox.png"), row(button())]
    status, body = await api.send({"flags": V2, "components": components}, Upload("fox.png", PNG))
    assert status == 200
    return api.discord.world.messages[int(body["id"])]


async def heard(api: Api, *args: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the MESSAGE_CREATE of a member's message, without the message-content intent."""
    async with line(api) as bot:
        await bot.ready()
        await api.discord.say(api.ann, *args, **more)
        event: dict[str, Any] = await bot.event("MESSAGE_CREATE")
    return event


def hidden(message: dict[str, Any]) -> bool:
    return not any(message[name] for name in FIELDS)


async def test_a_reply_with_a_ping_mentions_the_author_and_shows_its_content(api: Api) -> None:
    posted = await result(api)

    event = await heard(api, api.channel, "bluer", [Upload("a.png", PNG)], reply_to=posted)

    assert (event["type"], event["content"]) == (19, "bluer")
    assert [user["id"] for user in event["mentions"]] == [str(api.discord.bot_user.id)]
    assert [each["filename"] for each in event["attachments"]] == ["a.png"]
    assert event["message_reference"] == {
        "type": 0,
        "message_id": str(posted.id),
        "channel_id": str(api.channel.id),
        "guild_id": str(api.guild.id),
    }
    replied = event["referenced_message"]
    assert replied["components"][1]["components"][0]["custom_id"] == "a"
    assert replied["components"][0]["items"][0]["media"]["attachment_id"]


async def test_a_reply_without_a_ping_hides_its_own_content_alone(api: Api) -> None:
    posted = await result(api)

    event = await heard(
        api, api.channel, "bluer", [Upload("a.png", PNG)], reply_to=posted, ping=False
    )

    assert hidden(event)
    assert event["mentions"] == []
    assert len(event["referenced_message"]["components"]) == 2


async def test_a_mention_in_the_text_shows_the_content_without_a_ping(api: Api) -> None:
    posted = await result(api)
    name = api.discord.bot_user.mention

    event = await heard(api, api.channel, f"{name} bluer", reply_to=posted, ping=False)

    assert event["content"] == f"{name} bluer"
    assert len(event["mentions"]) == 1


async def test_a_reply_to_the_response_to_an_interaction_pings_nobody(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, {"content": "x"})
    assert used.message is not None

    event = await heard(api, api.channel, "bluer", reply_to=used.message)

    assert (event["mentions"], event["content"]) == ([], "")
    assert event["referenced_message"]["content"] == "x"


async def test_content_of_a_replied_message_of_others_stays_hidden(api: Api) -> None:
    other = await api.discord.say(api.ann, api.channel, "secret")

    event = await heard(api, api.channel, api.discord.bot_user.mention, reply_to=other)
    _, sent = await api.send({"content": "y", "message_reference": {"message_id": str(other.id)}})

    assert event["content"]
    assert hidden(event["referenced_message"])
    assert hidden(sent["referenced_message"])


async def test_everything_is_readable_in_direct_messages_and_with_the_intent() -> None:
    async with api_of(FakeDiscord(privileged_intents=CONTENT)) as api:
        direct = await heard(api, api.discord.dm_channel(api.ann), "hello")
        async with line(api) as bot:
            await bot.ready(USUAL | CONTENT)
            said = await api.discord.say(api.ann, api.channel, "hello")
            event = await bot.event("MESSAGE_CREATE")
        path = f"/channels/{api.channel.id}/messages/{said.id}"

        assert (direct["content"], event["content"]) == ("hello", "hello")
        assert (await api.call("GET", path))[1]["content"] == "hello"


async def test_messages_are_fetched_by_the_same_rules(api: Api) -> None:
    posted = await result(api)
    plain = await api.discord.say(api.ann, api.channel, "secret", [Upload("a.png", PNG)])
    named = await api.discord.say(api.ann, api.channel, "look", reply_to=posted)

    found = [
        (await api.call("GET", f"/channels/{api.channel.id}/messages/{each.id}"))[1]
        for each in (posted, plain, named)
    ]

    assert [hidden(each) for each in found] == [False, True, False]
    assert found[1]["author"]["id"] == str(api.ann.id)


async def test_a_message_menu_shows_everything_of_any_message(api: Api) -> None:
    await api.register({"name": "Recipe", "type": 3})
    posted = await result(api)
    embed = {"title": "t", "fields": []}
    other = await api.discord.say(
        api.discord.add_user("Other", bot=True),
        api.channel,
        uploads=[Upload("a.png", PNG)],
        body={"content": "secret", "embeds": [embed], "components": [row(button())]},
    )

    for message in (posted, other):
        used = await api.discord.menu(api.ann, api.channel, "Recipe", message)
        target = used.payload()["data"]["resolved"]["messages"][str(message.id)]
        assert target["components"]
    assert (target["content"], target["embeds"][0]["title"]) == ("secret", "t")
    assert target["attachments"][0]["filename"] == "a.png"


async def test_other_bots_and_webhooks_are_known_by_their_messages(api: Api) -> None:
    other = api.discord.add_user("Other", bot=True)
    hook = await api.discord.post_by_webhook(api.channel, "News", api.discord.bot_user.mention)
    async with line(api) as bot:
        await bot.ready()
        await api.discord.say(other, api.channel, "x", reply_to=hook)
        of_bot = await bot.event("MESSAGE_CREATE")
    _, of_hook = await api.call("GET", f"/channels/{api.channel.id}/messages/{hook.id}")

    assert (of_bot["author"]["bot"], "webhook_id" in of_bot) == (True, False)
    assert of_bot["mentions"] == []
    assert of_hook["webhook_id"] == of_hook["author"]["id"]
    assert (of_hook["author"]["bot"], of_hook["content"]) == (True, api.discord.bot_user.mention)


async def test_a_deleted_message_is_replied_to_by_its_ids(api: Api) -> None:
    posted = await result(api)
    reply = await api.discord.say(api.ann, api.channel, "bluer", reply_to=posted)
    await api.call("DELETE", f"/channels/{api.channel.id}/messages/{posted.id}")

    shown = api.discord.world.messages[reply.id].to_json()

    assert (shown["referenced_message"], shown["message_reference"]["message_id"]) == (
        None,
        str(posted.id),
    )


@pytest.mark.parametrize("ping", [True, False])
async def test_the_bots_reply_pings_as_allowed(api: Api, ping: bool) -> None:
    said = await api.discord.say(api.ann, api.channel, "x")
    body = {
        "content": "y",
        "message_reference": {"message_id": str(said.id), "fail_if_not_exists": False},
        "allowed_mentions": {"parse": [], "replied_user": ping},
    }

    _, sent = await api.send(body)

    assert sent["type"] == 19
    assert [user["id"] for user in sent["mentions"]] == ([str(api.ann.id)] if ping else [])


async def test_a_reply_to_a_message_that_is_gone(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "x")
    api.discord.delete(api.ann, said)
    reference = {"message_id": str(said.id)}

    strict, error = await api.send({"content": "y", "message_reference": reference})
    reference["fail_if_not_exists"] = False  # type: ignore[assignment]
    loose, sent = await api.send({"content": "y", "message_reference": reference})

    assert (strict, codes(error)) == (400, {"REPLIES_UNKNOWN_MESSAGE"})
    assert (loose, sent["type"], "message_reference" in sent) == (200, 0, False)


async def test_discords_own_messages_take_no_reply(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "x")
    api.discord.set_permissions(api.guild, api.ann, may.PIN_MESSAGES)
    api.discord.pin(api.ann, said)
    notice = api.discord.channel_messages(api.channel)[-1]

    body = {"content": "y", "message_reference": {"message_id": str(notice.id)}}
    _, error = await api.send(body)

    assert codes(error) == {"REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE"}
    with pytest.raises(MemberError):
        await api.discord.say(api.ann, api.channel, "z", reply_to=notice)


async def test_members_reply_only_to_messages_that_they_see_here(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, {"content": "x", "flags": 64})
    assert used.message is not None
    other: Channel = api.discord.add_channel(api.guild, "other")
    elsewhere = await api.discord.say(api.ann, other, "x")

    for message in (used.message, elsewhere):
        with pytest.raises(MemberError):
            await api.discord.say(api.ann, api.channel, "y", reply_to=message)


async def test_a_member_deletes_own_messages_and_a_moderator_those_of_others(api: Api) -> None:
    ben = api.discord.add_user("Ben")
    own = await api.discord.say(api.ann, api.channel, "x")
    posted = await result(api)

    api.discord.delete(api.ann, own)
    with pytest.raises(MemberError):
        api.discord.delete(ben, posted)
    api.discord.set_channel_permissions(api.channel, ben, allow=may.MANAGE_MESSAGES)
    api.discord.delete(ben, posted)

    assert api.discord.channel_messages(api.channel) == []
