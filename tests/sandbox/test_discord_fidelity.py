"""The stand-in where foreign clients need Discord's exact behaviour."""

import json
from urllib.parse import urlencode

import pytest

from bot.sandbox.discord import ChannelKind, FakeDiscord, MemberError, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_gateway import line
from tests.sandbox.test_discord_messages import button, row
from tests.sandbox.test_discord_raw import Api, api, api_of, codes

__all__ = ["api"]  # the fixture


def select(kind: int, **changes: object) -> dict[str, object]:
    return {"type": kind, "custom_id": "s", "max_values": 5} | changes


async def test_chosen_channels_carry_the_permissions_of_the_member(api: Api) -> None:
    option = {"type": 7, "name": "where", "description": "Where"}
    await api.register({"name": "post", "description": "Post", "options": [option]})
    thread = api.discord.add_channel(
        api.guild, "thread", kind=ChannelKind.PUBLIC_THREAD, parent=api.channel
    )

    for channel in (api.channel, thread):
        used = await api.discord.command(api.ann, api.channel, "post", {"where": channel})

        shown = used.data["resolved"]["channels"][str(channel.id)]
        assert int(shown["permissions"]) == may.EVERYONE
        assert ("thread_metadata" in shown) is channel.is_thread


async def test_a_server_that_the_bot_joins_is_never_called_available(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        known = await bot.event("GUILD_CREATE")
        api.discord.add_guild("New")
        joined = await bot.event("GUILD_CREATE")

    assert known["unavailable"] is False
    assert "unavailable" not in joined


@pytest.mark.parametrize(
    "form", [{"payload_json": json.dumps({"content": "x", "tts": False})}, {"content": "x"}]
)
async def test_a_form_without_files_may_be_urlencoded(api: Api, form: dict[str, str]) -> None:
    headers = {
        "Authorization": f"Bot {api.discord.token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    url = f"{api.discord.url}/channels/{api.channel.id}/messages"
    async with api.http.post(url, data=urlencode(form), headers=headers) as answer:
        assert (answer.status, (await answer.json())["content"]) == (200, "x")


async def test_unknown_keys_may_be_null(api: Api) -> None:
    good, _ = await api.send({"content": "x", "surprise": None})
    bad, body = await api.send({"content": "x", "surprise": 1})

    assert (good, bad, codes(body)) == (200, 400, {"UNKNOWN_KEY"})


async def test_the_key_files_is_ignored_beside_files(api: Api) -> None:
    body = {"content": "x", "files": [{"name": "a.txt"}]}
    good, sent = await api.send(body, Upload("a.txt", b"a"))
    bad, _ = await api.send(body)

    assert (good, bad, len(sent["attachments"])) == (200, 400, 1)


async def test_the_default_sounds_are_listed(api: Api) -> None:
    status, sounds = await api.call("GET", "/soundboard-default-sounds")

    assert (status, {sound["available"] for sound in sounds}) == (200, {True})


@pytest.mark.parametrize(
    ("path", "limited"), [("/users/@me", True), ("/channels/{channel}", True), ("/x", False)]
)
@pytest.mark.parametrize("limit_messages", [True, False])
async def test_answers_carry_rate_limits_and_the_proxy(
    path: str, limited: bool, limit_messages: bool
) -> None:
    async with api_of(FakeDiscord(limit_messages=limit_messages)) as api:
        headers = {"Authorization": f"Bot {api.discord.token}"}
        url = api.discord.url + path.format(channel=api.channel.id)
        left = []
        for _ in range(2):
            async with api.http.get(url, headers=headers) as answer:
                left.append(answer.headers.get("X-RateLimit-Remaining"))

        names = [name for name in answer.headers if name.startswith("X-RateLimit")]
        assert answer.headers["Via"]
        assert len(names) == (5 if limited else 0)
        expected = ["49", "48"] if limit_messages else ["49", "49"]
        assert left == (expected if limited else [None, None])


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [3]), (2, [4, 3, 2]), (3, [4, 3, 2]), (4, [5, 4, 3, 2, 1])]
)
async def test_messages_around_another_are_as_many_on_both_sides(
    api: Api, limit: int, expected: list[int]
) -> None:
    said = [await api.discord.say(api.ann, api.channel, str(n)) for n in range(7)]

    path = f"/channels/{api.channel.id}/messages?around={said[3].id}&limit={limit}"
    _, found = await api.call("GET", path)

    assert [int(each["id"]) for each in found] == [said[n].id for n in expected]


async def test_a_follow_up_names_the_original_response(api: Api) -> None:
    used = await api.used()
    _, first = await api.respond(used, 4, {"content": "first"})
    _, more = await api.hook("POST", used, body={"content": "more"})

    shown = first["resource"]["message"]
    assert "original_response_message_id" not in shown["interaction_metadata"]
    assert more["interaction_metadata"]["original_response_message_id"] == shown["id"]


async def test_roles_users_and_channels_are_chosen_by_the_kind_of_select(api: Api) -> None:
    api.discord.set_permissions(api.guild, api.ann, may.MANAGE_MESSAGES)
    role = api.guild.roles[-1]
    _, body = await api.send({"components": [row(select(6))], "content": "x"})
    roles = api.discord.world.messages[int(body["id"])]
    _, body = await api.send({"components": [row(select(7))], "content": "x"})
    either = api.discord.world.messages[int(body["id"])]
    voice = select(8, channel_types=[2])
    _, body = await api.send({"components": [row(voice)], "content": "x"})
    channels = api.discord.world.messages[int(body["id"])]

    one = await api.discord.select(api.ann, roles, "s", [role])
    both = await api.discord.select(api.ann, either, "s", [api.ann, role])

    assert one.data["values"] == [str(role.id)]
    assert one.data["resolved"]["roles"][str(role.id)]["name"] == "Ann's"
    assert both.data["values"] == [str(api.ann.id), str(role.id)]
    assert set(both.data["resolved"]) == {"users", "members", "roles"}
    for message, wrong in ((roles, api.ann), (either, api.channel), (channels, api.channel)):
        with pytest.raises(MemberError):
            await api.discord.select(api.ann, message, "s", [wrong])


@pytest.mark.parametrize("emoji", ["ℹ️", "🎨", "👩🏽‍🎨", "1️⃣", "🇩🇪", "↔️", "©️", "❤", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"])
async def test_unicode_emoji_are_accepted(api: Api, emoji: str) -> None:
    assert (
        await api.send({"content": "x", "components": [row(button("c", emoji={"name": emoji}))]})
    )[0] == 200


@pytest.mark.parametrize("emoji", ["i", "ä", "+", "smile", "7", "×", "\u200d"])
async def test_other_characters_are_no_emoji(api: Api, emoji: str) -> None:
    components = [row(button("c", emoji={"name": emoji}))]

    status, body = await api.send({"content": "x", "components": components})

    assert (status, codes(body)) == (400, {"BUTTON_COMPONENT_INVALID_EMOJI"})


async def test_custom_emoji_of_the_bots_servers_are_accepted(api: Api) -> None:
    fox = api.discord.add_emoji(api.guild, "fox", animated=True)
    far = api.discord.add_emoji(api.discord.add_guild("Elsewhere", bot=False), "far")
    option = {"label": "a", "value": "a", "emoji": {"id": str(fox.id), "name": "fox"}}
    components = [
        row(button("c", emoji={"id": str(fox.id), "name": "fox", "animated": True})),
        row({"type": 3, "custom_id": "s", "options": [option]}),
    ]

    status, body = await api.send({"content": "x", "components": components})
    unknown = [row(button("c", emoji={"id": str(far.id), "name": "far"}))]
    refused, errors = await api.send({"content": "x", "components": unknown})

    shown = body["components"][0]["components"][0]["emoji"]
    assert (status, shown) == (200, {"id": str(fox.id), "name": "fox", "animated": True})
    assert (refused, codes(errors)) == (400, {"BUTTON_COMPONENT_INVALID_EMOJI"})


async def test_a_post_of_anybody_takes_a_thread_out_of_the_archive(api: Api) -> None:
    kind = ChannelKind.PUBLIC_THREAD
    thread = api.discord.add_channel(api.guild, "thread", kind=kind, parent=api.channel)
    await api.register({"name": "echo", "description": "Say it"})
    async with line(api) as bot:
        await bot.ready()
        for way in ("bot", "member", "interaction"):
            api.discord.archive_thread(thread)
            assert (await bot.event("THREAD_UPDATE"))["thread_metadata"]["archived"]

            if way == "bot":
                await api.call("POST", f"/channels/{thread.id}/messages", {"content": "x"})
            elif way == "member":
                await api.discord.say(api.ann, thread, "x")
            else:
                used = await api.discord.command(api.ann, thread, "echo")
                assert (await api.respond(used, 4, {"content": "x"}))[0] == 200

            assert not (await bot.event("THREAD_UPDATE"))["thread_metadata"]["archived"]
