"""Modals of buttons: every component, defaults, files, restarts, and values spelt wrongly."""

from typing import Any

import pytest

from bot.sandbox.discord import Interaction, MemberError, Spelling, Upload
from tests.sandbox.test_discord_gateway import line
from tests.sandbox.test_discord_interactions import button_of, label, modal_of
from tests.sandbox.test_discord_messages import PNG, row
from tests.sandbox.test_discord_raw import ECHO, Api, api, codes

__all__ = ["api"]  # the fixture

SHAPES: list[dict[str, Any]] = [
    {"label": "Square (1:1)", "value": "1:1"},
    {"label": "Wide", "value": "Wide", "default": True},
]


def remix(**more: object) -> list[dict[str, Any]]:
    """Return the components of a modal: text, select, radio, checkboxes, checkbox or file."""
    return [
        label({"type": 4, "custom_id": "prompt", "style": 2, "value": "a fox"}),
        label({"type": 3, "custom_id": "shape", "options": SHAPES}),
        label({"type": 21, "custom_id": "count", "options": SHAPES, "required": False}),
        label({"type": 22, "custom_id": "boxes", "options": SHAPES, "required": False}),
        label({"type": 23, "custom_id": "seed", "default": True} | more),
    ]


async def opened(api: Api, components: list[dict[str, Any]]) -> Interaction:
    """Return a press that was answered with a modal."""
    pressed = await button_of(api)
    data = {"custom_id": "m", "title": "T", "components": components}
    status, body = await api.respond(pressed, 9, data)
    assert status == 200, body
    return pressed


def sent(interaction: Interaction) -> dict[str, Any]:
    """Return the fields of a submission by custom_id."""
    fields = [each["component"] for each in interaction.payload()["data"]["components"]]
    return {each["custom_id"]: each.get("value", each.get("values")) for each in fields}


async def test_a_modal_submitted_unchanged_sends_every_default(api: Api) -> None:
    pressed = await opened(api, remix())

    submitted = await api.discord.submit_modal(api.ann, pressed, {})

    assert sent(submitted) == {
        "prompt": "a fox",
        "shape": ["Wide"],
        "count": "Wide",
        "boxes": ["Wide"],
        "seed": True,
    }
    assert submitted.payload()["message"]["id"] == pressed.payload()["message"]["id"]


async def test_a_modal_is_submitted_to_a_bot_that_has_restarted(api: Api) -> None:
    async with line(api) as bot:
        await bot.ready()
        pressed = await opened(api, remix())
    await api.discord.disconnected()

    async with line(api) as restarted:
        await restarted.ready()
        submitted = await api.discord.submit_modal(api.ann, pressed, {"prompt": "two"})
        event = await restarted.event("INTERACTION_CREATE")
    updated, _ = await api.respond(submitted, 7, {"content": "y", "components": []})

    assert (event["type"], event["data"]["custom_id"]) == (5, "m")
    assert event["data"]["components"][0]["component"]["value"] == "two"
    assert (updated, submitted.source and submitted.source.content) == (200, "y")


async def test_files_of_a_modal_are_resolved_and_ephemeral(api: Api) -> None:
    upload = {"type": 19, "custom_id": "refs", "min_values": 0, "max_values": 3, "required": False}
    pressed = await opened(api, [label(upload)])
    files = [Upload("a.png", PNG), Upload("b.png", PNG)]

    none = sent(await api.discord.submit_modal(api.ann, pressed, {}))
    with pytest.raises(MemberError):
        await api.discord.submit_modal(api.ann, pressed, {"refs": files * 2})
    submitted = await api.discord.submit_modal(api.ann, pressed, {"refs": files})

    found = submitted.payload()["data"]["resolved"]["attachments"]
    assert none == {"refs": []}
    assert sent(submitted) == {"refs": list(found)}
    assert [each["ephemeral"] for each in found.values()] == [True, True]
    for each in found.values():
        async with api.http.get(each["url"]) as answer:
            assert await answer.read() == PNG


async def test_preselected_users_roles_and_channels_are_sent(api: Api) -> None:
    everyone = api.guild.roles[0]
    objects = {5: (api.ann.id, "user"), 6: (everyone.id, "role"), 8: (api.channel.id, "channel")}
    pressed = await opened(
        api,
        [
            label(
                {
                    "type": kind,
                    "custom_id": str(kind),
                    "default_values": [{"id": str(number), "type": name}],
                }
            )
            for kind, (number, name) in objects.items()
        ],
    )

    submitted = await api.discord.submit_modal(api.ann, pressed, {})

    assert sent(submitted) == {str(kind): [str(number)] for kind, (number, _) in objects.items()}
    assert set(submitted.payload()["data"]["resolved"]) >= {"users", "roles", "channels"}


async def test_deleted_ones_are_not_preselected(api: Api) -> None:
    role = api.discord.add_role(api.guild, "gone", api.ann)
    channel = api.discord.add_channel(api.guild, "gone")
    more = {"min_values": 0, "required": False}
    pressed = await opened(
        api,
        [
            label({"type": kind, "custom_id": str(kind), "default_values": [chosen], **more})
            for kind, chosen in {
                6: {"id": str(role.id), "type": "role"},
                8: {"id": str(channel.id), "type": "channel"},
            }.items()
        ],
    )
    api.discord.delete_role(api.guild, role)
    api.discord.delete_channel(channel)

    submitted = await api.discord.submit_modal(api.ann, pressed, {})

    assert sent(submitted) == {"6": [], "8": []}


@pytest.mark.parametrize(
    "component",
    [
        {"type": 19, "min_values": 0},
        {"type": 22, "options": SHAPES, "min_values": 0},
        {"type": 3, "options": SHAPES, "min_values": 0},
        {"type": 5, "min_values": 0, "required": True},
    ],
)
async def test_what_is_required_takes_one_at_least(api: Api, component: dict[str, Any]) -> None:
    component = component | {"custom_id": "c"}

    status, body = await modal_of(api, [label(component)])
    optional, _ = await modal_of(api, [label(component | {"required": False})])

    assert (status, codes(body), optional) == (400, {"NUMBER_TYPE_MIN"}, 200)


@pytest.mark.parametrize(
    ("spelling", "square", "wide"),
    [
        (Spelling.VALUE, "1:1", "Wide"),
        (Spelling.LABEL, "Square (1:1)", "Wide"),
        (Spelling.CASE, "1:1", "wIDE"),
    ],
)
async def test_a_client_may_send_the_label_or_another_case(
    api: Api, spelling: Spelling, square: str, wide: str
) -> None:
    choices = [{"name": each["label"], "value": each["value"]} for each in SHAPES]
    option = {"type": 3, "name": "shape", "description": "s", "choices": choices}
    count = {"type": 4, "name": "count", "description": "c", "choices": [{"name": "2", "value": 2}]}
    await api.register(ECHO | {"options": [option, count]})
    used = await api.used()
    select = {"type": 3, "custom_id": "s", "options": SHAPES, "max_values": 2}
    await api.respond(used, 4, {"content": "x", "components": [row(select)]})
    assert used.message is not None
    pressed = await opened(api, remix())
    api.discord.spelling = spelling

    command = await api.discord.command(api.ann, api.channel, "echo", {"shape": "Wide", "count": 2})
    chosen = await api.discord.select(api.ann, used.message, "s", ["1:1", "Wide"])
    form = await api.discord.submit_modal(
        api.ann, pressed, {"shape": ["1:1"], "count": "Wide", "boxes": ["1:1", "Wide"]}
    )

    assert [each["value"] for each in command.data["options"]] == [wide, 2]
    assert chosen.data["values"] == [square, wide]
    assert sent(form) == {
        "prompt": "a fox",
        "shape": [square],
        "count": wide,
        "boxes": [square, wide],
        "seed": True,
    }
