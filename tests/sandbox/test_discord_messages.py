"""Messages that the stand-in accepts or refuses."""

import io
from typing import Any

import pytest
from PIL import Image

from bot.sandbox.discord import ChannelKind, FakeDiscord, Upload
from bot.sandbox.discord import permissions as may
from tests.sandbox.test_discord_raw import Api, api, api_of, codes

__all__ = ["api"]  # the fixture

V2 = 1 << 15
JsonList = list[dict[str, Any]]


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 1)).save(file, "PNG")
    return file.getvalue()


PNG = picture()


def text(content: str = "x") -> dict[str, Any]:
    return {"type": 10, "content": content}


def button(custom_id: str | None = "a", **more: object) -> dict[str, Any]:
    made: dict[str, Any] = {"type": 2, "style": 1, "label": "b", "custom_id": custom_id} | more
    return {name: value for name, value in made.items() if value is not None}


def row(*children: object) -> dict[str, Any]:
    return {"type": 1, "components": list(children)}


def box(*children: object) -> dict[str, Any]:
    return {"type": 17, "components": list(children)}


def gallery(*urls: str, **more: object) -> dict[str, Any]:
    return {"type": 12, "items": [{"media": {"url": url}, **more} for url in urls]}


def options(count: int) -> JsonList:
    return [{"label": str(n), "value": str(n)} for n in range(count)]


def select(count: int = 2, **more: object) -> dict[str, Any]:
    return {"type": 3, "custom_id": "s", "options": options(count), **more}


REFUSED_V2: list[tuple[str, JsonList, str]] = [
    ("41 components", [box(*[text() for _ in range(40)])], "MAX_TOTAL_COMPONENTS"),
    ("4001 characters", [text("x" * 4000), text("y")], "TEXT_SIZE_EXCEEDED"),
    ("an empty text", [text("")], "BASE_TYPE_BAD_LENGTH"),
    ("11 pictures", [gallery(*["https://a.b/c.png"] * 11)], "BASE_TYPE_BAD_LENGTH"),
    ("no picture", [gallery()], "BASE_TYPE_BAD_LENGTH"),
    ("a long alt text", [gallery("https://a.b/c", description="x" * 1025)], "BAD_LENGTH"),
    ("a missing file", [gallery("attachment://a.png")], "ATTACHMENT_NOT_FOUND"),
    ("an odd scheme", [gallery("ftp://a.b/c.png")], "URL_TYPE_INVALID_SCHEME"),
    ("a file by address", [{"type": 13, "file": {"url": "https://a.b"}}], "INVALID_SCHEME"),
    ("no text in a section", [{"type": 9, "components": [], "accessory": button()}], "BAD_LENGTH"),
    ("no accessory", [{"type": 9, "components": [text()]}], "BASE_TYPE_REQUIRED"),
    (
        "4 texts in a section",
        [{"type": 9, "components": [text()] * 4, "accessory": button()}],
        "BASE_TYPE_BAD_LENGTH",
    ),
    ("a box in a box", [box(box(text()))], "BASE_TYPE_CHOICES"),
    ("a button in a box", [box(button())], "BASE_TYPE_CHOICES"),
    ("a button at the top", [button()], "BASE_TYPE_CHOICES"),
    ("a text in a row", [row(text())], "BASE_TYPE_CHOICES"),
    ("an empty row", [row()], "BASE_TYPE_BAD_LENGTH"),
    ("6 buttons", [row(*[button(str(n)) for n in range(6)])], "BASE_TYPE_BAD_LENGTH"),
    ("a select beside", [row(button(), select())], "COMPONENT_LAYOUT_WIDTH_EXCEEDED"),
    ("a custom_id twice", [row(button()), row(button())], "CUSTOM_ID_DUPLICATED"),
    ("an id twice", [text() | {"id": 3}, text() | {"id": 3}], "COMPONENT_ID_DUPLICATED"),
    ("a long label", [row(button(label="x" * 81))], "BASE_TYPE_MAX_LENGTH"),
    ("a long custom_id", [row(button("x" * 101))], "BASE_TYPE_BAD_LENGTH"),
    ("no custom_id", [row(button(None))], "BASE_TYPE_REQUIRED"),
    ("an address beside", [row(button(url="https://a.b"))], "BUTTON_COMPONENT_CONFLICT"),
    ("a link's custom_id", [row(button(style=5, url="https://a.b"))], "BUTTON_COMPONENT_CONFLICT"),
    ("a link to nowhere", [row(button(None, style=5))], "BASE_TYPE_REQUIRED"),
    ("an odd link", [row(button(None, style=5, url="file:///x"))], "URL_TYPE_INVALID_SCHEME"),
    ("an odd style", [row(button(style=9))], "BASE_TYPE_CHOICES"),
    ("neither label nor emoji", [row(button(label=None))], "INVALID_LABEL"),
    ("a word as emoji", [row(button(emoji={"name": "smile"}))], "INVALID_EMOJI"),
    ("26 options", [row(select(26))], "BASE_TYPE_BAD_LENGTH"),
    ("crossing bounds", [row(select(min_values=2, max_values=1))], "NUMBER_TYPE_MAX"),
    ("more than there are", [row(select(2, max_values=3))], "NUMBER_TYPE_MAX"),
    ("an odd colour", [box(text()) | {"accent_color": 1 << 24}], "NUMBER_TYPE_MAX"),
    ("an odd spacing", [{"type": 14, "spacing": 3}], "BASE_TYPE_CHOICES"),
    ("an unknown key", [text() | {"colour": 1}], "UNKNOWN_KEY"),
    ("an unknown kind", [{"type": 99}], "BASE_TYPE_CHOICES"),
    ("a modal's input", [row({"type": 4, "custom_id": "x", "style": 1})], "BASE_TYPE_CHOICES"),
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("2001 characters", {"content": "x" * 2001}, "BASE_TYPE_MAX_LENGTH"),
    ("11 embeds", {"embeds": [{"title": "x"}] * 11}, "BASE_TYPE_MAX_LENGTH"),
    ("6001 in embeds", {"embeds": [{"description": "x" * 3001}] * 2}, "MAX_EMBED_SIZE_EXCEEDED"),
    ("26 fields", {"embeds": [{"fields": [{"name": "a", "value": "b"}] * 26}]}, "MAX_LENGTH"),
    ("an empty field", {"embeds": [{"fields": [{"name": "a", "value": ""}]}]}, "BAD_LENGTH"),
    (
        "an embed's missing file",
        {"embeds": [{"image": {"url": "attachment://a"}}]},
        "ATTACHMENT_NOT_FOUND",
    ),
    ("text beside V2", {"content": "x", "flags": V2, "components": [text()]}, "LEGACY_FIELDS"),
    ("embeds beside V2", {"embeds": [{"title": "x"}], "flags": V2}, "LEGACY_FIELDS"),
    ("components without the flag", {"components": [text()]}, "BASE_TYPE_CHOICES"),
    ("6 rows", {"content": "x", "components": [row(button())] * 6}, "BASE_TYPE_MAX_LENGTH"),
    ("a flag which is not ours", {"content": "x", "flags": 64}, "BITFIELD_TYPE_INVALID"),
    ("an unknown key", {"content": "x", "ephemeral": True}, "UNKNOWN_KEY"),
    ("a number as text", {"content": 3}, "STRING_TYPE_CONVERT"),
    ("a long nonce", {"content": "x", "nonce": "n" * 26}, "BASE_TYPE_MAX_LENGTH"),
    ("an attachment from nowhere", {"content": "x", "attachments": [{"id": 0}]}, "NOT_FOUND"),
    (
        "contradicting mentions",
        {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
        "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
    ),
    (
        "an unknown kind of mention",
        {"content": "x", "allowed_mentions": {"parse": ["bots"]}},
        "BASE_TYPE_CHOICES",
    ),
    (
        "101 users",
        {"content": "x", "allowed_mentions": {"users": [str(n) for n in range(101)]}},
        "BASE_TYPE_MAX_LENGTH",
    ),
    (
        "a reply to nothing",
        {"content": "x", "message_reference": {"message_id": "1"}},
        "REPLIES_UNKNOWN_MESSAGE",
    ),
]


@pytest.mark.parametrize(("what", "components", "code"), REFUSED_V2)
async def test_components_against_the_rules_are_refused(
    api: Api, what: str, components: JsonList, code: str
) -> None:
    status, body = await api.send({"flags": V2, "components": components})

    assert (status, body["code"]) == (400, 50035), what
    assert any(code in found for found in codes(body)), body
    assert api.discord.channel_messages(api.channel) == []


@pytest.mark.parametrize(("what", "body", "code"), REFUSED)
async def test_bodies_against_the_rules_are_refused(
    api: Api, what: str, body: dict[str, Any], code: str
) -> None:
    status, answer = await api.send(body)

    assert (status, answer["code"]) == (400, 50035), what
    assert any(code in found for found in codes(answer)), answer


@pytest.mark.parametrize(
    "body", [{}, {"content": ""}, {"components": [row(button())]}, {"flags": V2}]
)
async def test_an_empty_message_is_refused(api: Api, body: dict[str, Any]) -> None:
    status, answer = await api.send(body)

    assert (status, answer["code"]) == (400, 50006)


async def test_components_at_their_limits_are_taken_and_filled_in(api: Api) -> None:
    components = [
        box(*[text("x" * 100) for _ in range(28)]),
        {"type": 9, "components": [text()] * 3, "accessory": button("c", emoji={"name": "🎨"})},
        row(*[button(str(n), label="l" * 80) for n in range(4)]),
        gallery(*["https://a.b/c.png"] * 10, description="d" * 1024),
    ]

    status, answer = await api.send({"flags": V2, "components": components})

    assert status == 200
    shown = answer["components"]
    assert shown[0]["spoiler"] is False
    assert [one["id"] for one in shown] == [1, 30, 35, 40]
    assert len(api.discord.channel_messages(api.channel)[0].buttons()) == 5


async def test_pictures_of_a_gallery_are_in_it_and_not_in_the_attachments(api: Api) -> None:
    body = {
        "flags": V2,
        "components": [gallery("attachment://a_b.png")],
        "attachments": [{"id": 0, "description": "a fox"}],
    }

    status, answer = await api.send(body, Upload("a b.png", PNG))

    assert status == 200
    media = answer["components"][0]["items"][0]["media"]
    assert answer["attachments"] == []
    assert (media["width"], media["height"], media["content_type"]) == (2, 1, "image/png")
    async with api.http.get(media["url"]) as served:
        assert await served.read() == PNG


async def test_files_of_a_plain_message_are_attachments(api: Api) -> None:
    body = {"content": "x", "embeds": [{"image": {"url": "attachment://shown.png"}}]}

    _, answer = await api.send(body, Upload("shown.png", PNG), Upload("kept.txt", b"text"))

    assert [file["filename"] for file in answer["attachments"]] == ["kept.txt"]
    assert "shown.png" in answer["embeds"][0]["image"]["url"]


async def test_an_edit_keeps_what_it_does_not_name(api: Api) -> None:
    _, sent = await api.send({"content": "x"}, Upload("a.txt", b"a"))
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"

    _, edited = await api.call("PATCH", path, {"components": [row(button())]})

    assert (edited["content"], len(edited["attachments"])) == ("x", 1)
    assert edited["edited_timestamp"] is not None
    assert edited["components"][0]["components"][0]["custom_id"] == "a"


async def test_an_embed_which_stays_keeps_its_file(api: Api) -> None:
    body = {"embeds": [{"image": {"url": "attachment://a.png"}}]}
    _, sent = await api.send(body, Upload("a.png", PNG))
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"

    refused, _ = await api.call("PATCH", path, {"attachments": []})
    taken, _ = await api.call("PATCH", path, {"attachments": [], "embeds": [], "content": "x"})

    assert (refused, taken) == (400, 200)


async def test_a_kept_files_description_can_be_changed(api: Api) -> None:
    _, sent = await api.send({"content": "x"}, Upload("a.png", PNG))
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"
    kept = {"id": sent["attachments"][0]["id"], "description": "a fox"}

    _, edited = await api.call("PATCH", path, {"attachments": [kept]})

    assert edited["attachments"][0]["description"] == "a fox"


async def test_an_edit_can_show_a_kept_file_and_drop_another(api: Api) -> None:
    first = {"flags": V2, "components": [gallery("attachment://a.png", "attachment://b.png")]}
    _, sent = await api.send(first, Upload("a.png", PNG), Upload("b.png", PNG))
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"
    items = sent["components"][0]["items"]
    kept = {"id": items[1]["media"]["attachment_id"]}

    status, _ = await api.call("PATCH", path, {"attachments": [kept]})
    assert status == 400
    kept["filename"] = "b.png"
    change = {"attachments": [kept], "components": [gallery("attachment://b.png")]}
    status, edited = await api.call("PATCH", path, change)

    assert status == 200
    async with api.http.get(items[0]["media"]["url"]) as dropped:
        assert dropped.status == 404
    async with api.http.get(edited["components"][0]["items"][0]["media"]["url"]) as served:
        assert served.status == 200


async def test_the_v2_flag_cannot_be_taken_off(api: Api) -> None:
    _, sent = await api.send({"flags": V2, "components": [text()]})
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"

    refused, body = await api.call("PATCH", path, {"flags": 0, "components": []})
    with_text, _ = await api.call("PATCH", path, {"content": "x"})
    taken, _ = await api.call("PATCH", path, {"components": [text("y")]})

    assert (refused, with_text, taken) == (400, 400, 200)
    assert "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG" in codes(body)


async def test_a_nonce_makes_one_message(api: Api) -> None:
    body = {"content": "x", "nonce": "n", "enforce_nonce": True}
    other = api.discord.add_channel(api.guild, "other")

    first = (await api.send(body))[1]
    again = (await api.send(body))[1]
    loose = (await api.send({"content": "x", "nonce": "n"}))[1]
    elsewhere = (await api.call("POST", f"/channels/{other.id}/messages", body))[1]

    assert first["id"] == again["id"]
    assert first["nonce"] == "n"
    assert len({first["id"], loose["id"], elsewhere["id"]}) == 3
    _, fetched = await api.call("GET", f"/channels/{api.channel.id}/messages/{first['id']}")
    assert "nonce" not in fetched


async def test_a_nonce_is_forgotten_after_some_minutes() -> None:
    now = 1_700_000_000.0
    async with api_of(FakeDiscord(clock=lambda: now)) as api:
        body = {"content": "x", "nonce": "n", "enforce_nonce": True}
        first = (await api.send(body))[1]

        now += 299
        assert (await api.send(body))[1]["id"] == first["id"]
        now += 1
        assert (await api.send(body))[1]["id"] != first["id"]


@pytest.mark.parametrize(
    ("allowed", "content", "pings"),
    [
        (None, "<@{ann}> hi", True),
        (None, "`<@{ann}>` ```<@{ann}>```", False),
        ({"parse": []}, "<@{ann}>", False),
        ({"users": ["{ann}"]}, "<@!{ann}>", True),
        ({"users": ["1"]}, "<@{ann}>", False),
        ({"parse": ["users"]}, "<@{ann}>", True),
        ({"parse": ["everyone"]}, "<@{ann}>", False),
    ],
)
async def test_only_those_who_may_be_pinged_are(
    api: Api, allowed: dict[str, Any] | None, content: str, pings: bool
) -> None:
    body: dict[str, Any] = {"content": content.format(ann=api.ann.id)}
    if allowed is not None:
        users = [user.format(ann=api.ann.id) for user in allowed.get("users", [])]
        body["allowed_mentions"] = allowed | ({"users": users} if users else {})

    await api.send(body)

    (message,) = api.discord.channel_messages(api.channel)
    assert message.pings == ([api.ann.id] if pings else [])


@pytest.mark.parametrize(
    ("allowed", "pings"), [(None, True), ({"parse": []}, False), ({"parse": ["everyone"]}, True)]
)
async def test_everyone_is_pinged_only_if_allowed(
    api: Api, allowed: dict[str, Any] | None, pings: bool
) -> None:
    body = {"flags": V2, "components": [text("@everyone")], "allowed_mentions": allowed}

    await api.send(body)

    assert api.discord.channel_messages(api.channel)[0].pings_everyone is pings


async def test_an_edit_pings_nobody(api: Api) -> None:
    _, sent = await api.send({"content": "x"})
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"

    await api.call("PATCH", path, {"content": f"<@{api.ann.id}>"})

    assert api.discord.channel_messages(api.channel)[0].pings == []


@pytest.mark.parametrize(
    ("granted", "status", "code"),
    [
        (0, 403, 50001),
        (may.SEND_MESSAGES, 403, 50001),
        (may.VIEW_CHANNEL, 403, 50013),
        (may.VIEW_CHANNEL | may.SEND_MESSAGES, 403, 50013),
        (may.VIEW_CHANNEL | may.SEND_MESSAGES | may.ATTACH_FILES, 200, None),
    ],
)
async def test_permissions_are_enforced(
    api: Api, granted: int, status: int, code: int | None
) -> None:
    closed = api.discord.add_channel(api.guild, "closed", bot_permissions=granted)
    path = f"/channels/{closed.id}/messages"

    got, body = await api.call("POST", path, {"content": "x"}, files=[Upload("a", b"a")])

    assert (got, body.get("code")) == (status, code)


async def test_threads_want_their_own_permission(api: Api) -> None:
    granted = may.VIEW_CHANNEL | may.SEND_MESSAGES
    parent = api.discord.add_channel(api.guild, "parent", bot_permissions=granted)
    kind = ChannelKind.PUBLIC_THREAD
    thread = api.discord.add_channel(api.guild, "thread", kind=kind, parent=parent)
    path = f"/channels/{thread.id}/messages"

    assert (await api.call("POST", path, {"content": "x"}))[0] == 403
    api.discord.set_bot_permissions(parent, may.VIEW_CHANNEL | may.SEND_MESSAGES_IN_THREADS)
    assert (await api.call("POST", path, {"content": "x"}))[0] == 200


async def test_a_private_thread_is_closed_to_a_bot_outside(api: Api) -> None:
    thread = api.discord.add_channel(
        api.guild,
        "secret",
        kind=ChannelKind.PRIVATE_THREAD,
        parent=api.channel,
        bot_in_thread=False,
    )

    status, body = await api.call("POST", f"/channels/{thread.id}/messages", {"content": "x"})

    assert (status, body["code"]) == (403, 50001)


async def test_an_archived_thread_wakes_up_unless_it_is_locked(api: Api) -> None:
    kind = ChannelKind.PUBLIC_THREAD
    thread = api.discord.add_channel(api.guild, "thread", kind=kind, parent=api.channel)
    path = f"/channels/{thread.id}/messages"
    _, sent = await api.call("POST", path, {"content": "x"})

    api.discord.archive_thread(thread)
    edited, _ = await api.call("PATCH", f"{path}/{sent['id']}", {"content": "y"})
    posted, _ = await api.call("POST", path, {"content": "x"})
    api.discord.archive_thread(thread, locked=True)
    locked, body = await api.call("POST", path, {"content": "x"})

    assert (edited, posted, locked, body["code"]) == (400, 200, 403, 160005)


async def test_deleted_channels_are_refused(api: Api) -> None:
    path = f"/channels/{api.channel.id}/messages"

    api.discord.remove_bot(api.guild)
    assert (await api.call("POST", path, {"content": "x"}))[1]["code"] == 50001
    api.discord.delete_channel(api.channel)
    assert (await api.call("POST", path, {"content": "x"}))[1]["code"] == 10003


async def test_direct_messages_reach_those_who_want_them(api: Api) -> None:
    _, made = await api.call("POST", "/users/@me/channels", {"recipient_id": str(api.ann.id)})
    path = f"/channels/{made['id']}/messages"

    sent, _ = await api.call("POST", path, {"content": "hi"})
    api.ann.accepts_dms = False
    refused, body = await api.call("POST", path, {"content": "hi"})

    assert (sent, refused, body["code"]) == (200, 403, 50007)
    direct = api.discord.dm_channel(api.ann)
    assert [m.content for m in api.discord.channel_messages(direct)] == ["hi"]


async def test_history_is_read_in_pages() -> None:
    async with api_of(FakeDiscord(limit_messages=False)) as api:
        await check_pages(api)


async def check_pages(api: Api) -> None:
    ids = [(await api.send({"content": str(n)}))[1]["id"] for n in range(6)]
    path = f"/channels/{api.channel.id}/messages"

    async def page(query: str) -> list[str]:
        return [one["content"] for one in (await api.call("GET", f"{path}?{query}"))[1]]

    assert await page("limit=2") == ["5", "4"]
    assert await page(f"limit=2&before={ids[3]}") == ["2", "1"]
    assert await page(f"limit=2&after={ids[1]}") == ["3", "2"]
    assert await page(f"limit=3&around={ids[2]}") == ["3", "2", "1"]
    assert (await api.call("GET", f"{path}?limit=101"))[0] == 400


async def test_a_deleted_message_and_its_files_are_gone(api: Api) -> None:
    _, sent = await api.send({"content": "x"}, Upload("a.txt", b"a"))
    path = f"/channels/{api.channel.id}/messages/{sent['id']}"

    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("DELETE", path))[1]["code"] == 10008
    async with api.http.get(sent["attachments"][0]["url"]) as served:
        assert served.status == 404
    assert api.discord.channel_messages(api.channel) == []


async def test_messages_of_others_can_be_neither_edited_nor_read(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "secret words")
    path = f"/channels/{api.channel.id}/messages/{said.id}"

    edited, body = await api.call("PATCH", path, {"content": "x"})
    deleted, _ = await api.call("DELETE", path)
    _, read = await api.call("GET", path)

    assert (edited, body["code"], deleted) == (403, 50005, 403)
    assert read["content"] == ""


async def test_a_reply_shows_and_pings_whom_it_answers(api: Api) -> None:
    said = await api.discord.say(api.ann, api.channel, "hello")
    body = {
        "content": "x",
        "message_reference": {"message_id": str(said.id)},
        "allowed_mentions": {"parse": [], "replied_user": True},
    }

    _, sent = await api.send(body)

    assert (sent["type"], sent["referenced_message"]["id"]) == (19, str(said.id))
    assert api.discord.channel_messages(api.channel)[1].pings == [api.ann.id]
