"""The rules of interactions: allowed responses, each once and in time."""

import asyncio
from typing import Any

import pytest

from bot.sandbox.discord import FakeDiscord, Interaction, MemberError, Upload
from tests.sandbox.test_discord_messages import V2, button, row, text
from tests.sandbox.test_discord_raw import ECHO, Api, api, api_of, codes

__all__ = ["api"]  # the fixture

EPHEMERAL, LOADING = 64, 128
SENT = {"content": "x"}
FORM = {
    "custom_id": "form",
    "title": "Form",
    "components": [
        {
            "type": 18,
            "label": "Prompt",
            "component": {"type": 4, "custom_id": "prompt", "style": 2, "max_length": 10},
        },
        {
            "type": 18,
            "label": "Files",
            "component": {"type": 19, "custom_id": "files", "max_values": 2, "required": False},
        },
        {
            "type": 18,
            "label": "Size",
            "component": {
                "type": 21,
                "custom_id": "size",
                "options": [{"label": "S", "value": "s"}, {"label": "L", "value": "l"}],
            },
        },
        {"type": 18, "label": "Sure", "component": {"type": 23, "custom_id": "sure"}},
    ],
}


def label(component: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": 18, "label": "L", "component": component, **more}


def text_input(**more: object) -> dict[str, Any]:
    return {"type": 4, "custom_id": "i", "style": 1, **more}


async def button_of(api: Api, **flags: object) -> Interaction:
    """Return a button press on the reply to a command."""
    used = await api.used()
    await api.respond(used, 4, {**SENT, "components": [row(button())], **flags})
    assert used.message is not None
    return await api.discord.click(api.ann, used.message, "a")


async def modal_of(api: Api, components: list[dict[str, Any]]) -> tuple[int, Any]:
    data = {"custom_id": "m", "title": "T", "components": components}
    return await api.respond(await api.used(), 9, data)


async def test_an_answer_is_a_message_with_its_origin(api: Api) -> None:
    used = await api.used()

    status, body = await api.respond(used, 4, SENT)

    message = body["resource"]["message"]
    assert status == 200
    assert message["interaction_metadata"]["user"]["id"] == str(api.ann.id)
    assert (message["type"], message["webhook_id"]) == (20, str(api.discord.application_id))
    assert body["interaction"]["response_message_id"] == message["id"]
    assert (await used.answered()).acknowledged_after is not None
    assert api.discord.channel_messages(api.channel) == [used.message]


async def test_without_with_response_there_is_no_body(api: Api) -> None:
    used = await api.used()
    path = f"/interactions/{used.id}/{used.token}/callback"

    assert await api.call("POST", path, {"type": 4, "data": SENT}) == (204, None)


async def test_what_other_libraries_send_along_is_taken(api: Api) -> None:
    used = await api.used()
    deferred, _ = await api.respond(used, 5, {"flags": 64, "allowed_mentions": {"parse": []}})
    used = await api.used()
    answered, _ = await api.respond(used, 4, SENT | {"tts": False, "enforce_nonce": False})
    used = await api.used()
    nonce, _ = await api.respond(used, 4, SENT | {"nonce": "n", "enforce_nonce": True})

    assert (deferred, answered, nonce) == (200, 200, 400)


async def test_an_interaction_is_answered_once(api: Api) -> None:
    used = await api.used()

    first, _ = await api.respond(used, 4, SENT)
    second, body = await api.respond(used, 4, SENT)

    assert (first, second, body["code"]) == (200, 400, 40060)


async def test_two_answers_at_once_make_one(api: Api) -> None:
    used = await api.used()
    file = Upload("a.txt", b"x")

    both = await asyncio.gather(*(api.respond(used, 4, SENT, file) for _ in range(2)))

    assert sorted(status for status, _ in both) == [200, 400]
    assert len(api.discord.channel_messages(api.channel)) == 1


async def test_a_late_answer_is_unknown_and_the_member_sees_that_nothing_came() -> None:
    async with api_of(FakeDiscord(response_seconds=0.05)) as api:
        used = await api.used()

        with pytest.raises(TimeoutError, match="The application did not respond"):
            await used.answered()
        await asyncio.sleep(0.02)
        status, body = await api.respond(used, 4, SENT)

        assert (status, body["code"]) == (404, 10062)
        assert (await api.hook("GET", used, "/messages/@original"))[1]["code"] == 10015


@pytest.mark.parametrize(("id_shift", "token"), [(1, None), (0, "wrong")])
async def test_a_wrong_id_or_token_is_unknown(api: Api, id_shift: int, token: str | None) -> None:
    used = await api.used()
    path = f"/interactions/{used.id + id_shift}/{token or used.token}/callback"

    status, body = await api.call("POST", path, {"type": 4, "data": SENT})

    assert (status, body["code"]) == (404, 10062)


@pytest.mark.parametrize("kind", [1, 2, 3, 6, 7, 8, 10, 99])
async def test_a_command_takes_no_answer_of_other_kinds(api: Api, kind: int) -> None:
    used = await api.used()

    status, body = await api.respond(used, kind, {})

    assert (status, body["code"]) == (400, 50035)
    assert (await api.respond(used, 4, SENT))[0] == 200


async def test_a_modal_of_a_command_has_no_message_to_update(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 9, FORM)
    sent = await api.discord.submit_modal(api.ann, used, {"prompt": "fox", "size": "s"})

    assert (await api.respond(sent, 7, SENT))[0] == 400
    assert (await api.respond(sent, 9, FORM))[0] == 400
    assert (await api.respond(sent, 4, SENT))[0] == 200


async def test_a_refused_answer_leaves_the_interaction_open(api: Api) -> None:
    used = await api.used()

    status, body = await api.respond(used, 4, {"content": "x" * 2001})

    assert (status, "content" in body["errors"]["data"]) == (400, True)
    assert (await api.respond(used, 4, SENT))[0] == 200


async def test_nothing_is_there_before_the_answer(api: Api) -> None:
    used = await api.used()

    assert (await api.hook("GET", used, "/messages/@original"))[1]["code"] == 10015
    assert (await api.hook("POST", used, "", SENT))[1]["code"] == 10015


@pytest.mark.parametrize("flags", [0, EPHEMERAL])
async def test_the_first_followup_fills_the_loading_message(api: Api, flags: int) -> None:
    used = await api.used()
    status, body = await api.respond(used, 5, {"flags": flags})
    loading = used.message
    assert loading is not None
    assert (status, "resource" in body, loading.flags) == (200, False, flags | LOADING)
    assert body["interaction"]["response_message_loading"] is True

    _, first = await api.hook("POST", used, "", SENT | {"flags": EPHEMERAL - flags})
    _, second = await api.hook("POST", used, "", SENT)

    assert (first["id"], first["flags"]) == (str(loading.id), flags)
    assert second["id"] != first["id"]
    assert len(used.followups) == 1


async def test_an_edit_ends_the_loading_and_may_ping(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 5)

    _, body = await api.hook("PATCH", used, "/messages/@original", {"content": api.ann.mention})

    assert (body["flags"], body["edited_timestamp"]) == (0, None)
    assert used.message is not None
    assert used.message.pings == [api.ann.id]


async def test_the_original_can_be_read_edited_and_deleted(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, SENT)
    path = "/messages/@original"

    assert (await api.hook("GET", used, path))[1]["content"] == "x"
    assert (await api.hook("PATCH", used, path, {"content": "y"}))[1]["content"] == "y"
    assert (await api.hook("DELETE", used, path))[0] == 204
    assert (await api.hook("GET", used, path))[1]["code"] == 10008
    assert (await api.hook("PATCH", used, path, SENT))[1]["code"] == 10008


async def test_a_followup_has_its_own_address(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, SENT)
    _, more = await api.hook("POST", used, "?wait=true", SENT)

    _, edited = await api.hook("PATCH", used, f"/messages/{more['id']}", {"content": "y"})

    assert edited["content"] == "y"
    assert (await api.hook("GET", used, "/messages/1"))[1]["code"] == 10008


async def test_a_token_lives_fifteen_minutes() -> None:
    now = 1_700_000_000.0
    async with api_of(FakeDiscord(clock=lambda: now)) as api:
        used = await api.used()
        await api.respond(used, 4, SENT)

        now += 899
        assert (await api.hook("GET", used, "/messages/@original"))[0] == 200
        now += 1
        status, body = await api.hook("GET", used, "/messages/@original")

        assert (status, body["code"]) == (401, 50027)


async def test_a_user_installed_app_has_five_followups(api: Api) -> None:
    await api.register(ECHO | {"integration_types": [1]})
    used = await api.discord.command(api.ann, api.channel, "echo", user_install_only=True)
    await api.respond(used, 4, SENT)

    statuses = [(await api.hook("POST", used, "", SENT))[0] for _ in range(6)]

    assert statuses == [200] * 5 + [400]
    assert used.payload()["authorizing_integration_owners"] == {"1": str(api.ann.id)}


async def test_an_ephemeral_answer_is_only_for_its_member(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 4, SENT | {"flags": EPHEMERAL, "components": [row(button())]})
    message = used.message
    assert message is not None
    bob = api.discord.add_user("Bob")

    assert api.discord.channel_messages(api.channel) == []
    assert api.discord.channel_messages(api.channel, bob) == []
    assert api.discord.channel_messages(api.channel, api.ann) == [message]
    path = f"/channels/{api.channel.id}/messages"
    assert (await api.call("GET", path))[1] == []
    assert (await api.call("GET", f"{path}/{message.id}"))[0] == 404
    with pytest.raises(MemberError):
        await api.discord.click(bob, message, "a")
    await api.discord.click(api.ann, message, "a")


async def test_a_button_can_update_its_message(api: Api) -> None:
    pressed = await button_of(api)

    status, body = await api.respond(pressed, 7, {"content": "y", "components": []})

    assert (status, body["resource"]["message"]["content"]) == (200, "y")
    assert pressed.message is pressed.source
    assert len(api.discord.channel_messages(api.channel)) == 1


async def test_a_button_can_be_acknowledged_without_a_word(api: Api) -> None:
    pressed = await button_of(api)

    status, body = await api.respond(pressed, 6)
    _, edited = await api.hook("PATCH", pressed, "/messages/@original", {"content": "later"})
    _, more = await api.hook("POST", pressed, "", SENT)

    assert (status, "resource" in body) == (200, False)
    assert pressed.source is not None
    assert edited["id"] == str(pressed.source.id)
    assert more["id"] != edited["id"]


@pytest.mark.parametrize("custom_id", ["b", "off", "gone"])
async def test_only_buttons_which_are_there_can_be_pressed(api: Api, custom_id: str) -> None:
    link = button(None, style=5, url="https://a.b")
    used = await api.used()
    rows = [row(button(), button("off", disabled=True), link)]
    await api.respond(used, 4, SENT | {"components": rows})
    assert used.message is not None

    with pytest.raises(MemberError):
        await api.discord.click(api.ann, used.message, custom_id)


async def test_a_deleted_message_has_no_buttons(api: Api) -> None:
    pressed = await button_of(api)
    await api.respond(pressed, 6)
    await api.hook("DELETE", pressed, "/messages/@original")
    assert pressed.source is not None

    with pytest.raises(MemberError):
        await api.discord.click(api.ann, pressed.source, "a")


async def test_a_select_gives_only_what_it_offers(api: Api) -> None:
    offered = [{"label": n, "value": n} for n in ("a", "b", "c")]
    select = {"type": 3, "custom_id": "s", "options": offered, "max_values": 2}
    used = await api.used()
    await api.respond(used, 4, {"flags": V2, "components": [text(), row(select)]})
    message = used.message
    assert message is not None

    chosen = await api.discord.select(api.ann, message, "s", ["a", "c"])

    assert chosen.data["values"] == ["a", "c"]
    for wrong in (["d"], [], ["a", "b", "c"], ["a", "a"]):
        with pytest.raises(MemberError):
            await api.discord.select(api.ann, message, "s", wrong)


@pytest.mark.parametrize(
    ("what", "components", "code"),
    [
        ("none", [], "BAD_LENGTH"),
        ("6 of them", [text()] * 6, "BAD_LENGTH"),
        ("a bare input", [text_input()], "BASE_TYPE_CHOICES"),
        ("a long label", [label(text_input()) | {"label": "x" * 46}], "BAD_LENGTH"),
        ("a long description", [label(text_input(), description="x" * 101)], "MAX_LENGTH"),
        ("a long custom_id", [label(text_input(custom_id="x" * 101))], "BAD_LENGTH"),
        ("a custom_id twice", [label(text_input()), label(text_input())], "DUPLICATED"),
        ("two labels", [label(text_input(label="x"))], "COMPONENT_LABEL_CONFLICT"),
        ("an odd style", [label(text_input(style=3))], "BASE_TYPE_CHOICES"),
        ("over 4000", [label(text_input(max_length=4001))], "NUMBER_TYPE_MAX"),
        ("a long value", [label(text_input(value="abc", max_length=2))], "BAD_LENGTH"),
        ("a button", [label(button())], "BASE_TYPE_CHOICES"),
        ("11 files", [label({"type": 19, "custom_id": "f", "max_values": 11})], "TYPE_MAX"),
        ("an old row without label", [row(text_input())], "BASE_TYPE_REQUIRED"),
        (
            "one radio",
            [label({"type": 21, "custom_id": "r", "options": [{"label": "a", "value": "a"}]})],
            "BAD_LENGTH",
        ),
    ],
)
async def test_modals_against_the_rules_are_refused(
    api: Api, what: str, components: list[dict[str, Any]], code: str
) -> None:
    status, body = await modal_of(api, components)

    assert (status, body["code"]) == (400, 50035), what
    assert any(code in found for found in codes(body)), body


@pytest.mark.parametrize("title", ["", "x" * 46])
async def test_a_modal_needs_a_title_of_45_characters(api: Api, title: str) -> None:
    assert (await api.respond(await api.used(), 9, FORM | {"title": title}))[0] == 400


async def test_a_modal_is_filled_in_and_sent(api: Api) -> None:
    used = await api.used()
    await api.respond(used, 9, FORM)
    values = {"prompt": "a fox", "files": [Upload("a.txt", b"x")], "size": "l", "sure": True}

    sent = await api.discord.submit_modal(api.ann, used, values)

    entered = [item["component"] for item in sent.data["components"]]
    (file_id,) = sent.data["resolved"]["attachments"]
    assert [one.get("value", one.get("values")) for one in entered] == [
        "a fox",
        [file_id],
        "l",
        True,
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "s"},
        {"prompt": "", "size": "s"},
        {"prompt": "x" * 11, "size": "s"},
        {"prompt": "fox"},
        {"prompt": "fox", "size": "m"},
        {"prompt": "fox", "size": "s", "sure": "yes"},
        {"prompt": "fox", "size": "s", "files": [Upload("a", b"")] * 3},
        {"prompt": "fox", "size": "s", "other": 1},
    ],
)
async def test_a_modal_takes_only_what_fits(api: Api, wrong: dict[str, object]) -> None:
    used = await api.used()
    await api.respond(used, 9, FORM)

    with pytest.raises(MemberError):
        await api.discord.submit_modal(api.ann, used, wrong)


async def completing(api: Api, data: object) -> tuple[tuple[int, Any], list[dict[str, Any]] | None]:
    """Return the response to an autocomplete of an integer, and the choices offered."""
    option = {"type": 4, "name": "n", "description": "d", "autocomplete": True}
    await api.register(ECHO | {"options": [option]})
    asking = asyncio.create_task(
        api.discord.complete(api.ann, api.channel, "echo", {"n": "1"}, "n", timeout=1)
    )
    world = api.discord.world
    (asked,) = await world.changes.until(
        lambda: [*world.interactions.values()] or None, 1, "not asked"
    )
    assert asked.data["options"][0]["value"] == "1"
    answer = await api.respond(asked, 8, data)
    if answer[0] != 200:
        asking.cancel()
        return answer, None
    return answer, await asking


async def test_an_autocomplete_offers_its_choices(api: Api) -> None:
    choices = [{"name": str(n), "value": n} for n in range(25)]

    (status, body), offered = await completing(api, {"choices": choices})

    assert (status, "resource" in body, offered) == (200, False, choices)


@pytest.mark.parametrize(
    "choices",
    [
        [{"name": str(n), "value": n} for n in range(26)],
        [{"name": "one", "value": "1"}],
        [{"name": "x" * 101, "value": 1}],
        [{"name": "", "value": 1}],
        [{"value": 1}],
        None,
    ],
)
async def test_an_autocomplete_against_the_rules_is_refused(
    api: Api, choices: list[object] | None
) -> None:
    answer, _ = await completing(api, {} if choices is None else {"choices": choices})

    assert (answer[0], answer[1]["code"]) == (400, 50035)
