"""The settings that servers make for commands: when they are read, and what they hold."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bot.sandbox.http.faults import Answer
from cogs import _permissions
from cogs._permissions import ASKED_AGAIN_AFTER, KNOWN_FOR, CommandPermissions, PermissionsUnread
from tests.support.ground import Ground, ground

SETTINGS = r"/api/v10/applications/\d+/guilds/\d+/commands/permissions"
COMMANDS = r"/api/v10/applications/\d+/commands"
BUSY = Answer(503, {"code": 0, "message": "busy"})
SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)


class Asking:
    """The settings, with a clock that a test moves."""

    def __init__(self, on: Ground) -> None:
        self.on = on
        begin = on.now()
        self.permissions = CommandPermissions(lambda: begin + on.moved)

    async def levels(self, name: str = "edit", guild: int = 0) -> list[Any]:
        guild = guild or self.on.server.id
        return [*await self.permissions.levels(self.on.client, guild, name)]

    def answer(self, *commands: dict[str, Any], times: int | None = None) -> None:
        """Let Discord return these settings."""
        kind = {"Content-Type": "application/json"}
        self.on.fake.faults.add("GET", SETTINGS, Answer(200, json.dumps(commands), kind), times)

    def commands(self, *pairs: tuple[int, str]) -> None:
        """Let Discord list these commands."""
        kind = {"Content-Type": "application/json"}
        body = json.dumps([{"id": str(number), "name": name} for number, name in pairs])
        self.on.fake.faults.add("GET", COMMANDS, Answer(200, body, kind), None)

    def asked(self) -> int:
        return sum(path.endswith("/commands/permissions") for path in self.on.sent("GET"))

    def listed(self) -> int:
        return sum(path.endswith("/commands") for path in self.on.sent("GET"))


def settings(command: int, *given: tuple[int, int, bool]) -> dict[str, Any]:
    rows = [{"type": kind, "id": str(to), "permission": allowed} for kind, to, allowed in given]
    return {"id": str(command), "permissions": rows}


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    async with ground() as on:
        yield Asking(on)


async def test_the_settings_of_a_command_come_before_those_of_all(asking: Asking) -> None:
    application = asking.on.client.application_id or 0
    asking.answer(
        settings(application, (3, 9, False)),
        settings(12, (1, 5, True), (2, 6, False)),
        settings(13, (1, 7, True)),
    )
    asking.commands((12, "edit"), (13, "imagine"), (14, "help"))

    of_all = {(3, 9): False}
    assert await asking.levels("edit") == [{(1, 5): True, (2, 6): False}, of_all]
    assert await asking.levels("imagine") == [{(1, 7): True}, of_all]
    assert await asking.levels("help") == [{}, of_all]
    assert await asking.levels("no such") == [{}, of_all]
    assert (asking.asked(), asking.listed()) == (1, 1)


async def test_a_command_and_a_menu_may_have_the_same_name(asking: Asking) -> None:
    asking.answer(settings(15, (1, 5, False)))
    asking.commands((12, "edit"), (15, "edit"))

    assert await asking.levels("edit") == [{(1, 5): False}, {}]


@pytest.mark.parametrize("of_all", [True, False])
async def test_the_commands_are_listed_only_if_one_has_settings(
    asking: Asking, of_all: bool
) -> None:
    application = asking.on.client.application_id or 0
    asking.answer(*([settings(application, (1, 5, True))] if of_all else []))

    assert await asking.levels() == [{}, {(1, 5): True} if of_all else {}]
    assert asking.listed() == 0


async def test_settings_and_commands_are_known_for_ten_minutes(asking: Asking) -> None:
    assert timedelta(minutes=10) == KNOWN_FOR
    asking.answer(settings(12, (1, 5, True)))
    asking.commands((12, "edit"))
    await asking.levels()
    asking.on.moved = KNOWN_FOR - MOMENT
    await asking.levels()
    assert (asking.asked(), asking.listed()) == (1, 1)
    asking.on.moved = KNOWN_FOR
    await asking.levels()
    assert (asking.asked(), asking.listed()) == (2, 2)


async def test_settings_that_a_manager_has_changed_are_read_again(asking: Asking) -> None:
    asking.permissions.forget(asking.on.server.id)  # not known yet
    await asking.levels()
    asking.permissions.forget(asking.on.server.id)
    await asking.levels()

    assert asking.asked() == 2


async def test_after_no_answer_discord_is_asked_again_in_ten_seconds(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    assert timedelta(seconds=10) == ASKED_AGAIN_AFTER
    await asking.levels()
    asking.on.moved = KNOWN_FOR
    failing = asking.on.fake.faults.add("GET", SETTINGS, BUSY, times=None)
    for moved in (KNOWN_FOR, KNOWN_FOR + ASKED_AGAIN_AFTER - MOMENT):
        asking.on.moved = moved
        with pytest.raises(PermissionsUnread):
            await asking.levels()
    assert failing.hits == 1
    asking.on.moved = KNOWN_FOR + ASKED_AGAIN_AFTER
    with pytest.raises(PermissionsUnread):
        await asking.levels()
    assert failing.hits == 2
    failing.remove()
    asking.on.moved += ASKED_AGAIN_AFTER
    assert await asking.levels() == [{}, {}]

    lines = [each.getMessage() for each in caplog.records if each.name == _permissions.__name__]
    assert len(lines) == 2
    assert lines[0].startswith("permissions of commands not read: ")


@pytest.mark.parametrize("body", ["{}", '[{"id": "1"}]', "<html>"])
async def test_settings_that_cannot_be_read_are_none(asking: Asking, body: str) -> None:
    kind = {"Content-Type": "application/json"} if body[0] != "<" else {}
    asking.on.fake.faults.add("GET", SETTINGS, Answer(200, body, kind))
    if body == "{}":
        assert await asking.levels() == [{}, {}]
    else:
        with pytest.raises(PermissionsUnread):
            await asking.levels()


async def test_a_list_of_commands_that_cannot_be_read_lets_nobody(asking: Asking) -> None:
    asking.answer(settings(12, (1, 5, True)))
    asking.on.fake.faults.add("GET", COMMANDS, BUSY)
    with pytest.raises(PermissionsUnread):
        await asking.levels()
    asking.commands((12, "edit"))

    assert await asking.levels() == [{(1, 5): True}, {}]


async def test_the_servers_whose_settings_are_known_are_bounded(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_permissions, "MOST_SERVERS", 2)
    asking.answer()
    for guild in (1, 2, 1, 3):  # 2 was asked for longest ago
        await asking.levels(guild=guild)
    assert asking.asked() == 3
    await asking.levels(guild=1)
    await asking.levels(guild=3)
    assert asking.asked() == 3
    await asking.levels(guild=2)
    assert asking.asked() == 4
