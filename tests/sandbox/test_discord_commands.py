"""Register commands with the stand-in, and enter them as a member."""

from typing import Any

import pytest

from bot.sandbox.discord import MemberError, Upload
from tests.sandbox.test_discord_raw import Api, api, codes

__all__ = ["api"]  # the fixture


def command(**changes: object) -> dict[str, Any]:
    made: dict[str, Any] = {"name": "draw", "description": "Draw it"} | changes
    return {name: value for name, value in made.items() if value is not None}


def option(kind: int = 3, name: str = "what", **more: object) -> dict[str, Any]:
    return {"type": kind, "name": name, "description": "d", **more}


def with_option(kind: int = 3, **more: object) -> dict[str, Any]:
    return command(options=[option(kind) | more])


def choices(count: int, value: object = "v") -> list[dict[str, Any]]:
    return [{"name": f"c{n}", "value": value} for n in range(count)]


LONG = [{"name": f"{n}" + "x" * 90, "value": "y" * 90} for n in range(3)]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("capitals", command(name="Draw"), "INVALID_NAME"),
    ("a space", command(name="draw it"), "INVALID_NAME"),
    ("a sign", command(name="draw!"), "INVALID_NAME"),
    ("33 characters", command(name="x" * 33), "BASE_TYPE_BAD_LENGTH"),
    ("no name", command(name=None), "BASE_TYPE_REQUIRED"),
    ("no description", command(description=None), "BASE_TYPE_REQUIRED"),
    ("an empty description", command(description=""), "BASE_TYPE_BAD_LENGTH"),
    ("a long description", command(description="x" * 101), "BASE_TYPE_BAD_LENGTH"),
    ("a menu's description", command(type=3), "DESCRIPTION_PROHIBITED"),
    ("an unknown kind", command(type=9), "BASE_TYPE_CHOICES"),
    ("an unknown key", command(colour=3), "UNKNOWN_KEY"),
    ("no contexts", command(contexts=[]), "BASE_TYPE_BAD_LENGTH"),
    ("an unknown context", command(contexts=[3]), "BASE_TYPE_CHOICES"),
    ("a context twice", command(contexts=[0, 0]), "ALREADY_CONTAINS"),
    ("an unknown install", command(integration_types=[2]), "BASE_TYPE_CHOICES"),
    ("an unknown language", command(name_localizations={"tlh": "x"}), "UNKNOWN_KEY"),
    ("capitals elsewhere", command(name_localizations={"de": "Malen"}), "INVALID_NAME"),
    ("a long translation", command(description_localizations={"de": "x" * 101}), "BAD_LENGTH"),
    ("26 options", command(options=[option(name=f"o{n}") for n in range(26)]), "MAX_LENGTH"),
    ("an option twice", command(options=[option(), option()]), "OPTIONS_NAME_DUPLICATE"),
    (
        "required after optional",
        command(options=[option(), option(name="b", required=True)]),
        "REQUIRED_INVALID",
    ),
    ("26 choices", with_option(choices=choices(26)), "MAX_LENGTH"),
    ("choices and autocomplete", with_option(choices=choices(1), autocomplete=True), "AUTOCOMPL"),
    ("a choice of the wrong type", with_option(4, choices=choices(1, "x")), "NUMBER_TYPE_COERCE"),
    ("a long choice", with_option(choices=choices(1, "x" * 101)), "MAX_LENGTH"),
    ("choices of a user", with_option(6, choices=choices(1)), "UNKNOWN_KEY"),
    ("a length of a number", with_option(4, max_length=3), "UNKNOWN_KEY"),
    ("a range of text", with_option(3, max_value=3), "UNKNOWN_KEY"),
    ("a length over 6000", with_option(3, max_length=6001), "NUMBER_TYPE_MAX"),
    ("crossing lengths", with_option(3, min_length=3, max_length=2), "NUMBER_TYPE_MAX"),
    ("crossing values", with_option(10, min_value=3, max_value=2.5), "NUMBER_TYPE_MAX"),
    ("half a whole number", with_option(4, min_value=0.5), "NUMBER_TYPE_COERCE"),
    ("an unknown type", with_option(12), "BASE_TYPE_CHOICES"),
    ("an option's capitals", command(options=[option(name="What")]), "INVALID_NAME"),
    ("a group without any", with_option(2), "BASE_TYPE_REQUIRED"),
    ("a group in a subcommand", with_option(1, options=[option(2)]), "BASE_TYPE_CHOICES"),
    (
        "a subcommand beside a value",
        command(options=[option(1, "a"), option(3, "b")]),
        "OPTIONS_TYPE_INVALID",
    ),
    (
        "8001 characters",
        command(options=[option(name=f"o{n}", choices=LONG) for n in range(15)]),
        "APPLICATION_COMMAND_TOO_LARGE",
    ),
]


@pytest.mark.parametrize(("what", "body", "code"), REFUSED)
async def test_commands_against_the_rules_are_refused(
    api: Api, what: str, body: dict[str, Any], code: str
) -> None:
    status, answer = await api.register(body)

    assert (status, answer["code"]) == (400, 50035), what
    assert any(code in found for found in codes(answer)), answer
    assert api.discord.commands == []


@pytest.mark.parametrize(("kind", "most"), [(1, 100), (2, 15), (3, 15)])
async def test_a_scope_holds_only_so_many_commands(api: Api, kind: int, most: int) -> None:
    description = "d" if kind == 1 else None
    made = [command(name=f"c{n}", type=kind, description=description) for n in range(most + 1)]

    assert (await api.register(*made[:-1]))[0] == 200
    status, answer = await api.register(*made)

    assert (status, answer["code"]) == (400, 30032)


async def test_two_commands_of_a_name_are_refused_but_not_of_two_kinds(api: Api) -> None:
    menu = command(name="draw", type=3, description=None)

    assert (await api.register(command(), menu))[0] == 200
    assert (await api.register(command(), command()))[0] == 400


async def test_commands_keep_their_ids_and_get_their_defaults(api: Api) -> None:
    _, first = await api.register(command(), command(name="other"))
    _, again = await api.register(command(description="New"))

    assert first[0]["id"] == again[0]["id"]
    assert first[0]["version"] != again[0]["version"]
    assert (again[0]["integration_types"], again[0]["contexts"]) == ([0], None)
    assert [one["name"] for one in api.discord.commands] == ["draw"]


async def test_commands_can_be_managed_one_by_one(api: Api) -> None:
    base = f"/applications/{api.discord.application_id}/commands"
    status, made = await api.call("POST", base, command())
    one = f"{base}/{made['id']}"

    assert status == 201
    assert (await api.call("POST", base, command(description="Again")))[0] == 200
    assert (await api.call("PATCH", one, {"description": "Third"}))[1]["description"] == "Third"
    assert (await api.call("GET", one))[1]["description"] == "Third"
    assert (await api.call("DELETE", one))[0] == 204
    assert (await api.call("GET", one))[1]["code"] == 10063


async def test_an_entry_point_survives_a_bulk_update(api: Api) -> None:
    """Only a request for this one command removes the Entry Point of an Activity."""
    base = f"/applications/{api.discord.application_id}/commands"
    entry_point = command(name="launch", type=4, handler=2, description=None)
    _, made = await api.call("POST", base, entry_point)

    refused = await api.register(command())
    assert (refused[0], refused[1]["code"]) == (400, 50240)
    assert (await api.register(command(), entry_point))[0] == 200
    assert (await api.register(command(), entry_point, entry_point | {"name": "b"}))[0] == 400
    assert (await api.register(command(handler=2), entry_point))[0] == 400
    assert (await api.register(command(), command(name="b", type=4, description=None)))[0] == 400
    assert (await api.call("DELETE", f"{base}/{made['id']}"))[0] == 204
    assert (await api.register(command()))[0] == 200


async def test_a_day_has_200_creates_and_an_update_is_none(api: Api) -> None:
    for batch in range(2):
        made = [command(name=f"c{batch}-{number}") for number in range(100)]
        assert (await api.register(*made))[0] == 200
    status, answer = await api.register(command(name="another"))

    assert (status, answer["code"]) == (400, 30034)
    assert (await api.register(*made))[0] == 200


async def test_a_list_has_localizations_only_on_request(api: Api) -> None:
    base = f"/applications/{api.discord.application_id}/commands"
    texts: dict[str, Any] = {"name_localizations": {"de": "malen"}}
    await api.register(command(**texts, options=[option(**texts)]))

    (short,) = (await api.call("GET", base))[1]
    (full,) = (await api.call("GET", f"{base}?with_localizations=true"))[1]

    assert "name_localizations" not in short | short["options"][0]
    assert full["name_localizations"] == {"de": "malen"}
    assert full["options"][0]["name_localizations"] == {"de": "malen"}


async def test_a_servers_commands_are_only_there(api: Api) -> None:
    other = api.discord.add_channel(api.discord.add_guild("Other"), "general")
    base = f"/applications/{api.discord.application_id}"

    await api.call("PUT", f"{base}/guilds/{api.guild.id}/commands", [command()])

    assert (await api.call("GET", f"{base}/commands"))[1] == []
    await api.discord.command(api.ann, api.channel, "draw")
    with pytest.raises(MemberError):
        await api.discord.command(api.ann, other, "draw")


FULL = command(
    options=[
        option(3, "text", required=True, min_length=2, max_length=5),
        option(4, "whole", min_value=1, max_value=9),
        option(10, "part", max_value=1.5),
        option(5, "yes"),
        option(3, "pick", choices=choices(2)),
        option(11, "file"),
        option(6, "who"),
        option(7, "where", channel_types=[0]),
    ]
)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"text": "x"},
        {"text": "x" * 6},
        {"text": "   "},
        {"text": 3},
        {"text": "good", "whole": 0},
        {"text": "good", "whole": 10},
        {"text": "good", "whole": 2.5},
        {"text": "good", "whole": True},
        {"text": "good", "part": 2},
        {"text": "good", "yes": "true"},
        {"text": "good", "pick": "w"},
        {"text": "good", "file": b"bytes"},
        {"text": "good", "file": Upload("a", bytes(10 * 1024 * 1024 + 1))},
        {"text": "good", "who": "Ann"},
        {"text": "good", "where": "general"},
        {"text": "good", "unknown": 1},
    ],
)
async def test_a_member_can_enter_only_what_fits(api: Api, wrong: dict[str, object]) -> None:
    await api.register(FULL)

    with pytest.raises(MemberError):
        await api.discord.command(api.ann, api.channel, "draw", wrong)


async def test_what_a_member_enters_is_sent_typed_and_resolved(api: Api) -> None:
    await api.register(FULL)
    given = {
        "text": "good",
        "whole": 9,
        "part": 1,
        "yes": False,
        "pick": "v",
        "file": Upload("a.txt", b"hello"),
        "who": api.ann,
        "where": api.channel,
    }

    used = await api.discord.command(api.ann, api.channel, "draw", given)

    values = {one["name"]: one["value"] for one in used.data["options"]}
    assert values["whole"] == 9
    assert values["who"] == str(api.ann.id)
    assert set(used.data["resolved"]) == {"users", "members", "channels", "attachments"}
    file = used.data["resolved"]["attachments"][values["file"]]
    assert (file["filename"], file["ephemeral"], file["size"]) == ("a.txt", True, 5)
    async with api.http.get(file["url"]) as served:
        assert await served.read() == b"hello"


async def test_an_unknown_command_cannot_be_used(api: Api) -> None:
    with pytest.raises(MemberError):
        await api.discord.command(api.ann, api.channel, "draw")


async def test_subcommands_are_named_and_nested(api: Api) -> None:
    grant = option(1, "grant", options=[option(4, "amount", required=True)])
    await api.register(command(name="credits", options=[option(2, "of", options=[grant])]))

    used = await api.discord.command(api.ann, api.channel, "credits of grant", {"amount": 3})

    inner = used.data["options"][0]
    assert (inner["type"], inner["name"], inner["options"][0]["name"]) == (2, "of", "grant")
    assert inner["options"][0]["options"][0]["value"] == 3
    for name in ("credits", "credits of", "credits of take"):
        with pytest.raises(MemberError):
            await api.discord.command(api.ann, api.channel, name, {"amount": 3})


async def test_commands_are_only_where_they_are_meant_to_be(api: Api) -> None:
    await api.register(
        command(name="here", contexts=[0]),
        command(name="direct", contexts=[1]),
        command(name="mine", integration_types=[1], contexts=[0, 1, 2]),
        command(name="adult", nsfw=True),
        command(name="boss", default_member_permissions="32"),
    )
    discord, ann, channel = api.discord, api.ann, api.channel
    direct = discord.dm_channel(ann)
    private = discord.private_channel(ann, discord.add_user("Bob"))
    foreign = discord.add_channel(discord.add_guild("Foreign", bot=False), "general")
    adult = discord.add_channel(api.guild, "adult", nsfw=True)

    await discord.command(ann, channel, "here")
    await discord.command(ann, direct, "direct")
    await discord.command(ann, adult, "adult")
    for place in (channel, direct, private, foreign):
        await discord.command(ann, place, "mine", user_install_only=True)
    for name, place in (
        ("here", direct),
        ("direct", channel),
        ("mine", channel),
        ("here", foreign),
        ("here", private),
        ("adult", channel),
        ("boss", channel),
    ):
        with pytest.raises(MemberError):
            await discord.command(ann, place, name)
    discord.set_permissions(api.guild, ann, 32)
    await discord.command(ann, channel, "boss")


async def test_only_what_completes_itself_can_be_completed(api: Api) -> None:
    await api.register(command(options=[option(), option(name="auto", autocomplete=True)]))

    with pytest.raises(MemberError):
        await api.discord.complete(api.ann, api.channel, "draw", {"what": "f"}, "what")
