"""Buttons and edits of messages of any age: tokens, deferred updates, files that stay."""

from typing import Any

import pytest

from bot.sandbox.discord import FakeDiscord, Interaction, Message, Upload
from tests.sandbox.test_discord_messages import PNG, V2, button, gallery, row, text
from tests.sandbox.test_discord_raw import ECHO, Api, api, api_of, codes

__all__ = ["api"]  # the fixture

DAY = 86_400
EPHEMERAL = 64
ORIGINAL = "/messages/@original"
USER = ECHO | {"integration_types": [0, 1], "contexts": [0, 1, 2]}


def fox(url: str, **more: object) -> dict[str, Any]:
    return {"flags": V2, "components": [gallery(url, **more), row(button())]}


async def posted(api: Api) -> tuple[Message, dict[str, Any]]:
    """Return a result in the channel with one picture, and the item of its gallery."""
    status, body = await api.send(fox("attachment://fox.png"), Upload("fox.png", PNG))
    assert status == 200
    return api.discord.world.messages[int(body["id"])], body["components"][0]["items"][0]


async def edit(
    api: Api, message: Message, body: object, *files: Upload
) -> tuple[int, dict[str, Any]]:
    path = f"/channels/{message.channel.id}/messages/{message.id}"
    return await api.call("PATCH", path, body, files=files)


async def status_of(api: Api, url: str) -> int:
    async with api.http.get(url) as answer:
        return answer.status


async def private(api: Api, *, guest: bool = False) -> tuple[Message, Interaction]:
    """Return an ephemeral V2 response with a picture and a button."""
    if not api.discord.commands:
        await api.register(USER)
    used = await api.discord.command(api.ann, api.channel, "echo", user_install_only=guest)
    data = fox("attachment://fox.png")
    status, _ = await api.respond(used, 4, data | {"flags": V2 | EPHEMERAL}, Upload("fox.png", PNG))
    assert status == 200
    assert used.message is not None
    return used.message, used


async def test_a_button_works_after_a_year_and_its_token_for_fifteen_minutes() -> None:
    now = [1e9]
    async with api_of(FakeDiscord(clock=lambda: now[0])) as api:
        message, _ = await posted(api)
        now[0] += 365 * DAY
        pressed = await api.discord.click(api.ann, message, "a")
        shown = pressed.payload()["message"]
        deferred, _ = await api.respond(pressed, 6)
        now[0] += 899
        alive, edited = await api.hook("PATCH", pressed, ORIGINAL, {"components": [text("y")]})
        now[0] += 1
        late, error = await api.hook("PATCH", pressed, ORIGINAL, {"components": [text("z")]})

        assert await status_of(api, shown["components"][0]["items"][0]["media"]["url"]) == 200
        assert (deferred, alive, edited["id"]) == (200, 200, str(message.id))
        assert (late, error["code"]) == (401, 50027)


async def test_after_a_deferred_update_the_original_is_the_source_and_a_follow_up_is_new(
    api: Api,
) -> None:
    message, _ = await posted(api)
    pressed = await api.discord.click(api.ann, message, "a")
    _, answer = await api.respond(pressed, 6)

    _, menu = await api.hook("POST", pressed, "", {"content": "menu", "flags": EPHEMERAL})
    _, original = await api.hook("GET", pressed, ORIGINAL)
    _, edited = await api.hook(
        "PATCH", pressed, ORIGINAL, {"components": [text("y"), row(button())]}
    )

    assert "resource" not in answer
    assert menu["id"] != original["id"] == edited["id"] == str(message.id)
    assert (menu["flags"] & EPHEMERAL, message.text()) == (EPHEMERAL, "y")


async def test_the_source_may_be_ephemeral_and_is_edited_by_the_newest_token() -> None:
    now = [1e9]
    async with api_of(FakeDiscord(clock=lambda: now[0])) as api:
        message, used = await private(api)
        now[0] += 3600
        pressed = await api.discord.click(api.ann, message, "a")
        await api.respond(pressed, 6)
        url = message.pictures()[0]
        kept = {"components": [gallery(url, spoiler=True), row(button())]}
        dead, _ = await api.hook("PATCH", used, ORIGINAL, kept)
        status, edited = await api.hook("PATCH", pressed, ORIGINAL, kept)
        path = f"/channels/{api.channel.id}/messages/{message.id}"

        assert (dead, status) == (401, 200)
        assert edited["components"][0]["items"][0]["spoiler"] is True
        assert edited["flags"] & EPHEMERAL
        assert (await api.call("PATCH", path, kept))[1]["code"] == 10008


async def test_each_press_of_a_user_installed_app_has_five_followups(api: Api) -> None:
    message, used = await private(api, guest=True)
    pressed = await api.discord.click(api.ann, message, "a")
    again = await api.discord.click(api.ann, message, "a")

    assert pressed.payload()["authorizing_integration_owners"] == {"1": str(api.ann.id)}
    for interaction in (pressed, again):
        await api.respond(interaction, 6)
        made = [await api.hook("POST", interaction, "", {"content": "x"}) for _ in range(6)]
        assert [status for status, _ in made] == [200] * 5 + [400]
        assert made[-1][1]["code"] == 40094
    assert (await api.hook("POST", used, "", {"content": "x"}))[0] == 200


async def test_a_gallery_item_changes_by_the_address_of_its_own_picture(api: Api) -> None:
    message, item = await posted(api)
    url = item["media"]["url"]

    status, body = await edit(api, message, fox(url, spoiler=True, description="a fox"))

    changed = body["components"][0]["items"][0]
    assert (status, changed["spoiler"], changed["description"]) == (200, True, "a fox")
    assert await status_of(api, changed["media"]["url"]) == 200
    assert changed["media"]["width"] == 2
    assert "attachment_id" not in changed["media"]  # whether Discord keeps it is not known


async def test_the_address_may_have_expired_before_the_edit() -> None:
    now = [1e9]
    async with api_of(FakeDiscord(clock=lambda: now[0])) as api:
        message, item = await posted(api)
        url = item["media"]["url"]
        now[0] += DAY
        assert await status_of(api, url) == 404

        status, body = await edit(api, message, fox(url, spoiler=True))

        assert status == 200
        assert await status_of(api, body["components"][0]["items"][0]["media"]["url"]) == 200


async def test_a_picture_whose_attachment_an_edit_drops_is_gone(api: Api) -> None:
    message, item = await posted(api)

    status, body = await edit(api, message, fox(item["media"]["url"]) | {"attachments": []})

    assert status == 200
    assert await status_of(api, body["components"][0]["items"][0]["media"]["url"]) == 404


@pytest.mark.parametrize(
    ("listed", "status"),
    [
        ({"id": None, "filename": "fox.png"}, 200),
        ({"id": None}, 400),
        (None, 400),
    ],
)
async def test_an_edit_names_a_file_only_with_its_id_and_filename(
    api: Api, listed: dict[str, object] | None, status: int
) -> None:
    message, item = await posted(api)
    body = fox("attachment://fox.png", spoiler=True)
    if listed is not None:
        body["attachments"] = [listed | {"id": item["media"]["attachment_id"]}]

    got, answer = await edit(api, message, body)

    assert got == status
    if status == 200:
        media = answer["components"][0]["items"][0]["media"]
        assert media["attachment_id"] == item["media"]["attachment_id"]
    else:
        assert codes(answer) == {"UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"}


@pytest.mark.parametrize("listed", [True, False])
async def test_an_edit_with_an_upload_lists_the_upload(api: Api, listed: bool) -> None:
    message, _ = await posted(api)
    body = fox("attachment://new.png")
    if listed:
        body["attachments"] = [{"id": 0, "filename": "new.png"}]

    status, answer = await edit(api, message, body, Upload("new.png", PNG))

    assert status == (200 if listed else 400)
    assert listed or codes(answer) == {"UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"}


async def test_a_message_fetched_again_has_fresh_addresses_and_old_ones_are_refreshed() -> None:
    now = [1e9]
    async with api_of(FakeDiscord(clock=lambda: now[0])) as api:
        message, item = await posted(api)
        url = item["media"]["url"]
        now[0] += DAY - 1
        before = await status_of(api, url)
        now[0] += 1
        expired = await status_of(api, url)
        _, body = await api.call("GET", f"/channels/{api.channel.id}/messages/{message.id}")
        _, fresh = await api.call("POST", "/attachments/refresh-urls", {"attachment_urls": [url]})
        pair = fresh["refreshed_urls"][0]

        assert (before, expired) == (200, 404)
        assert pair["original"] == url
        for each in (body["components"][0]["items"][0]["media"]["url"], pair["refreshed"]):
            assert await status_of(api, each) == 200


async def test_inputs_of_commands_are_removed_when_a_test_says_so(api: Api) -> None:
    option = {"type": 11, "name": "file", "description": "f"}
    _, item = await posted(api)
    await api.register(ECHO | {"options": [option, option | {"name": "more"}]})
    files = {"file": Upload("a.png", PNG), "more": Upload("b.png", PNG)}
    used = await api.discord.command(api.ann, api.channel, "echo", files)
    found = used.payload()["data"]["resolved"]["attachments"].values()
    urls = [each["url"] for each in found]

    removed = api.discord.world.cdn.remove_inputs("a.png")

    assert removed == 1
    assert [await status_of(api, url) for url in urls] == [404, 200]
    _, fresh = await api.call("POST", "/attachments/refresh-urls", {"attachment_urls": urls[:1]})
    assert await status_of(api, fresh["refreshed_urls"][0]["refreshed"]) == 404
    assert api.discord.world.cdn.remove_inputs() == 1
    assert await status_of(api, item["media"]["url"]) == 200
