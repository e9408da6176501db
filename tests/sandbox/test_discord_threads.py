"""Threads and posts of the stand-in, over REST and the gateway."""

import pytest

from bot.sandbox.discord import Channel, ChannelKind, FakeDiscord, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_gateway import line
from tests.sandbox.test_discord_messages import PNG
from tests.sandbox.test_discord_raw import Api, api, api_of, codes

__all__ = ["api"]  # the fixture

NAMED = {"name": "A fox"}


def without(channel: Channel, api: Api, permission: int) -> None:
    api.discord.set_bot_permissions(channel, may.EVERYONE & ~permission)


async def test_a_thread_starts_from_a_message(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        _, sent = await api.send({"content": "x"})
        path = f"/channels/{api.channel.id}/messages/{sent['id']}"
        status, thread = await api.call(
            "POST", f"{path}/threads", NAMED | {"auto_archive_duration": 60}
        )
        created = await bot.event("THREAD_CREATE")
        updated = await bot.event("MESSAGE_UPDATE")
        starter = await bot.event("MESSAGE_CREATE")
    again, twice = await api.call("POST", f"{path}/threads", NAMED)
    posted, _ = await api.call("POST", f"/channels/{thread['id']}/messages", {"content": "y"})
    _, shown = await api.call("GET", path)
    _, active = await api.call("GET", f"/guilds/{api.guild.id}/threads/active")

    assert (status, thread["id"], thread["type"]) == (201, sent["id"], 11)
    assert (thread["parent_id"], thread["name"]) == (str(api.channel.id), "A fox")
    assert thread["thread_metadata"]["auto_archive_duration"] == 60
    assert (created["id"], created["newly_created"]) == (thread["id"], True)
    assert (updated["flags"], updated["thread"]["id"]) == (32, sent["id"])
    assert (starter["type"], starter["message_reference"]["message_id"]) == (21, sent["id"])
    assert (again, twice["code"]) == (400, 160004)
    assert (posted, shown["thread"]["message_count"]) == (200, 2)
    assert [each["id"] for each in active["threads"]] == [thread["id"]]


@pytest.mark.parametrize(
    ("body", "missing", "status", "code"),
    [
        ({}, 0, 400, 50035),
        ({"name": "x" * 101}, 0, 400, 50035),
        (NAMED | {"auto_archive_duration": 61}, 0, 400, 50035),
        (NAMED | {"rate_limit_per_user": 21601}, 0, 400, 50035),
        (NAMED | {"type": 11}, 0, 400, 50035),
        (NAMED, may.CREATE_PUBLIC_THREADS, 403, 50013),
        (NAMED, may.VIEW_CHANNEL, 403, 50001),
    ],
)
async def test_wrong_threads_are_refused(
    api: Api, body: object, missing: int, status: int, code: int
) -> None:
    _, sent = await api.send({"content": "x"})
    without(api.channel, api, missing)

    path = f"/channels/{api.channel.id}/messages/{sent['id']}/threads"
    got, error = await api.call("POST", path, body)

    assert (got, error["code"]) == (status, code)


async def test_channels_without_threads_refuse_them(api: Api) -> None:
    direct = api.discord.dm_channel(api.ann)
    said = await api.discord.say(api.ann, direct, "x")
    thread = api.discord.add_channel(
        api.guild, "thread", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )
    voice = api.discord.add_channel(api.guild, "voice", kind=ChannelKind.VOICE)

    for path in (
        f"/channels/{direct.id}/messages/{said.id}/threads",
        f"/channels/{thread.id}/threads",
        f"/channels/{voice.id}/threads",
    ):
        status, body = await api.call("POST", path, NAMED)
        assert (status, body["code"]) == (400, 50024)
    unknown = f"/channels/{api.channel.id}/messages/1/threads"
    assert (await api.call("POST", unknown, NAMED))[1]["code"] == 10008


async def test_threads_without_a_message_are_private_by_default(api: Api) -> None:
    path = f"/channels/{api.channel.id}/threads"
    _, private = await api.call("POST", path, NAMED | {"invitable": False})
    _, public = await api.call("POST", path, NAMED | {"type": 11})
    notice = api.discord.channel_messages(api.channel)[-1].to_json()
    without(api.channel, api, may.CREATE_PRIVATE_THREADS)
    refused, body = await api.call("POST", path, NAMED)

    assert (private["type"], private["thread_metadata"]["invitable"]) == (12, False)
    assert public["type"] == 11
    assert (notice["type"], notice["content"]) == (18, "A fox")
    assert notice["message_reference"]["channel_id"] == public["id"]
    assert (refused, body["code"]) == (403, 50013)


@pytest.mark.parametrize("kind", [ChannelKind.FORUM, ChannelKind.MEDIA])
async def test_a_post_is_a_thread_with_its_first_message(api: Api, kind: ChannelKind) -> None:
    forum = api.discord.add_channel(api.guild, "forum", kind=kind, tags=["art", "fox"])
    tag = str(forum.tags[1].id)
    message = {"content": "look", "attachments": [{"id": 0, "description": "a fox"}]}
    async with line(api) as bot:
        await bot.ready()
        status, post = await api.call(
            "POST",
            f"/channels/{forum.id}/threads",
            NAMED | {"applied_tags": [tag], "message": message},
            files=[Upload("fox.png", PNG)],
        )
        thread = await bot.event("THREAD_CREATE")
        first = await bot.event("MESSAGE_CREATE")
    answered, _ = await api.call("POST", f"/channels/{post['id']}/messages", {"content": "more"})
    _, shown = await api.call("GET", f"/channels/{post['id']}")

    assert (status, post["applied_tags"], post["message_count"]) == (201, [tag], 0)
    assert post["id"] == post["message"]["id"] == thread["id"] == first["id"] == first["channel_id"]
    assert first["attachments"][0]["description"] == "a fox"
    assert (answered, shown["message_count"], shown["total_message_sent"]) == (200, 1, 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (NAMED, 50035),
        ({"message": {"content": "x"}}, 50035),
        (NAMED | {"message": {"content": ""}}, 50006),
        (NAMED | {"message": {"content": "x", "flags": 64}}, 50035),
        (NAMED | {"message": {"content": "x"}, "applied_tags": ["1"]}, 10087),
        (NAMED | {"message": {"content": "x"}, "applied_tags": ["1"] * 6}, 50035),
        (NAMED | {"message": {"content": "x"}}, 40067),
    ],
)
async def test_wrong_posts_are_refused(api: Api, body: object, code: int) -> None:
    forum = api.discord.add_channel(
        api.guild, "forum", kind=ChannelKind.FORUM, tags=["art"], requires_tag=True
    )

    _, error = await api.call("POST", f"/channels/{forum.id}/threads", body)

    assert error["code"] == code
    assert [one for one in api.guild.channels.values() if one.parent is forum] == []


async def test_a_forum_takes_no_messages_and_needs_the_permission(api: Api) -> None:
    forum = api.discord.add_channel(api.guild, "forum", kind=ChannelKind.FORUM)
    sent, body = await api.call("POST", f"/channels/{forum.id}/messages", {"content": "x"})
    without(forum, api, may.SEND_MESSAGES)
    post = NAMED | {"message": {"content": "x"}}
    refused, other = await api.call("POST", f"/channels/{forum.id}/threads", post)

    assert (sent, body["code"], refused, other["code"]) == (400, 50008, 403, 50013)


async def test_private_threads_of_others_stay_unseen(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        api.discord.add_channel(
            api.guild,
            "secret",
            kind=ChannelKind.PRIVATE_THREAD,
            parent=api.channel,
            bot_in_thread=False,
        )
        seen = api.discord.add_channel(
            api.guild, "open", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
        )
        assert (await bot.event("THREAD_CREATE"))["id"] == str(seen.id)
    assert codes((await api.call("POST", f"/channels/{seen.id}/messages", {"a": 1}))[1]) == {
        "UNKNOWN_KEY"
    }


@pytest.mark.parametrize(
    ("body", "own", "extra", "archived", "locked", "code"),
    [
        ({"name": "New"}, True, 0, False, False, None),
        ({"archived": True}, True, 0, False, False, None),
        ({"archived": True}, False, 0, False, False, 50013),
        ({"archived": True, "locked": True}, True, 0, False, False, 50013),
        ({"archived": True, "locked": True}, False, may.MANAGE_THREADS, False, False, None),
        ({"name": "New"}, True, 0, True, False, 50083),
        ({"archived": False}, False, 0, True, False, None),
        ({"archived": False}, False, 0, True, True, 160005),
        ({"archived": False}, False, may.MANAGE_THREADS, True, True, None),
        ({"name": ""}, True, 0, False, False, 50035),
    ],
)
async def test_threads_are_edited_by_starters_and_moderators(
    api: Api,
    body: dict[str, object],
    own: bool,
    extra: int,
    archived: bool,
    locked: bool,
    code: int | None,
) -> None:
    thread = api.discord.add_channel(
        api.guild, "thread", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )
    thread.starter = api.discord.bot_user if own else api.ann
    thread.archived, thread.locked = archived, locked
    api.discord.set_bot_permissions(api.channel, may.EVERYONE | extra)

    _, found = await api.call("PATCH", f"/channels/{thread.id}", body)
    deleted, _ = await api.call("DELETE", f"/channels/{thread.id}")

    assert found.get("code") == code
    assert (deleted, thread.deleted) == ((200, True) if extra else (403, False))


async def test_a_project_in_a_thread_at_a_message(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "x")
    path = f"/channels/{api.channel.id}/messages/{said.id}/threads"
    _, thread = await api.call("POST", path, NAMED)
    place = api.discord.world.channels[int(thread["id"])]
    members = f"/channels/{place.id}/thread-members"
    ben = api.discord.add_user("Ben")

    stranger, error = await api.call("PUT", f"{members}/{ben.id}")
    added, _ = await api.call("PUT", f"{members}/{api.ann.id}")
    forbidden, _ = await api.call("GET", members)
    await api.register({"name": "echo", "description": "d"})
    used = await api.discord.command(ben, place, "echo")
    answered, _ = await api.respond(used, 4, {"content": "y"})
    await api.discord.say(ben, place, "z")
    _, shown = await api.call("GET", f"/channels/{place.id}")

    payload = used.payload()
    assert (stranger, error["code"], added, forbidden) == (404, 10007, 204, 403)
    assert (payload["channel"]["parent_id"], payload["channel_id"]) == (
        str(api.channel.id),
        thread["id"],
    )
    assert payload["channel"]["type"] == 11
    assert (answered, shown["member_count"]) == (200, 3)
    assert used.message is not None
    assert used.message.channel is place


async def test_members_of_a_thread_are_listed_with_the_intent() -> None:
    async with api_of(FakeDiscord(privileged_intents=2)) as api:
        _, thread = await api.call(
            "POST", f"/channels/{api.channel.id}/threads", NAMED | {"type": 11}
        )
        await api.discord.say(api.ann, api.discord.world.channels[int(thread["id"])], "x")

        _, members = await api.call("GET", f"/channels/{thread['id']}/thread-members")

    assert [each["user_id"] for each in members] == [
        str(api.discord.bot_user.id),
        str(api.ann.id),
    ]
