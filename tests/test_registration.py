"""Commands at Discord: registered beside the gateway, compared, and mended."""

import asyncio
import time
from typing import Any

import pytest

from bot.registration.commands import payload_without_login
from bot.registration.compare import bulk_update, difference
from bot.sandbox.discord.commands import read_commands
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault, HoldBefore, Reset
from tests.support.easel import Stage, registered, text_of

PUT = "/api/v10/applications/.*/commands"
LOGGER = "bot.registration.task"
LIMITED = {"message": "You are being rate limited.", "retry_after": 300.0, "global": False}

REFUSALS: dict[str, tuple[Fault, float, str]] = {
    "the daily limit": (
        Answer(400, {"code": 30034, "message": "Max number of daily creates reached"}),
        3600.0,
        "within a day",
    ),
    "an entry point": (
        Answer(400, {"code": 50240, "message": "You cannot remove this app's Entry Point"}),
        2.0,
        "developer portal",
    ),
    "a rate limit": (Answer(429, LIMITED, {"Via": "x", "Retry-After": "300"}), 300.0, "Nothing"),
    "a proxy's rate limit": (Answer(429, "slow down", {"Retry-After": "120"}), 120.0, "Nothing"),
    "an outage": (Answer(503, "<html>"), 2.0, "Nothing"),
    "a reset": (Reset(), 2.0, "Nothing"),
}


def puts(at: Stage) -> int:
    return sum(r.method == "PUT" and r.path.endswith("/commands") for r in at.discord.requests)


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> str:
    async with asyncio.timeout(20):
        while True:
            for record in caplog.records:
                if record.name == LOGGER and text in record.getMessage():
                    return record.getMessage()
            await asyncio.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize(("refusal", "wait", "remedy"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_registration_leaves_the_bot_at_work(
    at: Stage, caplog: pytest.LogCaptureFixture, refusal: Fault, wait: float, remedy: str
) -> None:
    async with at.easel() as app:
        await registered(app)
    at.discord.commands[:] = [each for each in at.discord.commands if each["name"] == "usage"]
    at.clock.move(days=2)
    rule = at.discord.faults.add("PUT", PUT, refusal, times=None)

    async with at.easel() as app:
        line = await logged(caplog, "commands not registered")
        text_of(await at.command("usage"))
        gateway: Any = (await app.report.report())[1]["gateway"]

    assert f"retrying in {wait:.0f} s" in line
    assert remedy in line
    assert gateway["commands_registered"] is False
    assert rule.hits in (1, 2)  # aiohttp repeats a PUT whose connection was reset, once


@pytest.mark.long
async def test_a_registration_that_was_refused_succeeds_later(at: Stage) -> None:
    at.discord.faults.add("GET", PUT, Answer(503, "<html>"))
    at.discord.faults.add("PUT", PUT, Answer(503, "<html>"))
    began = time.monotonic()
    async with at.easel() as app:  # waits for the commands
        await registered(app)

    assert 6 <= time.monotonic() - began < 30  # waits of 2 s and 4 s
    assert puts(at) == 2


async def test_an_entry_point_is_carried_along(at: Stage) -> None:
    entry_point = {"type": 4, "name": "launch", "handler": 2, "integration_types": [0, 1]}
    stored = read_commands([entry_point], [], at.discord.world.ids.next)
    at.discord.commands.extend(stored)

    async with at.easel():
        text_of(await at.command("usage"))

    (launch,) = [each for each in at.discord.commands if each["type"] == 4]
    assert (launch["id"], launch["handler"]) == (stored[0]["id"], 2)


async def test_commands_are_sent_only_on_a_difference(at: Stage) -> None:
    async with at.easel() as app:
        await registered(app)
    async with at.easel():
        text_of(await at.command("usage"))

    assert puts(at) == 1


@pytest.mark.long
async def test_vanished_commands_come_back_at_most_once_a_day(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel() as app:
        await registered(app)
    everything = [each["name"] for each in at.discord.commands]
    at.discord.commands.clear()
    async with at.easel():
        line = await logged(caplog, "although they were registered within a day")
    assert "/imagine" in line
    assert "easel check --register" in line
    assert puts(at) == 1

    at.clock.move(hours=25)
    async with at.easel() as app:
        await registered(app)
    assert [each["name"] for each in at.discord.commands] == everything
    assert puts(at) == 2


@pytest.mark.long
async def test_an_unknown_outcome_is_settled_by_the_list(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The commands have arrived, and the answer was lost: nothing is sent again."""
    at.discord.faults.add("PUT", PUT, AnswerAfter(403, "<html>"))
    async with at.easel() as app:
        await registered(app)

    assert puts(at) == 1


async def test_a_registration_on_the_way_ends_with_the_client(at: Stage) -> None:
    held = at.discord.faults.add("PUT", PUT, HoldBefore())
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        await held.reached()
        app.stop()
        await asyncio.wait_for(running, 20)

    assert "registration" not in {task.get_name() for task in asyncio.all_tasks()}
    held.release()


async def test_what_discord_adds_is_no_difference() -> None:
    """Both the documented form and that of the stand-in equal the commands that were sent."""
    wanted = await payload_without_login(user_install=True)
    ids = iter(range(100, 1000))
    stored = read_commands(wanted, [], lambda: next(ids))
    as_documented = [
        {name: value for name, value in each.items() if value not in (None, False, [], "")}
        | {"application_id": "1", "version": "2", "default_permission": True, "new": {"a": 1}}
        for each in stored
    ]

    assert not difference(wanted, stored)
    assert not difference(wanted, as_documented)
    assert bulk_update(wanted, stored) == wanted


def changed(stored: list[dict[str, Any]], **fields: object) -> list[dict[str, Any]]:
    return [stored[0] | fields, *stored[1:]]


async def test_differences_are_named() -> None:
    wanted = await payload_without_login(user_install=False)
    ids = iter(range(100, 1000))
    stored = read_commands(wanted, [], lambda: next(ids))
    name = f"/{stored[0]['name']}"
    foreign = {"type": 1, "name": "foreign", "description": "x"}

    assert str(difference(wanted, stored[1:])) == f"missing: {name}"
    assert str(difference(wanted, [*stored, foreign])) == "not Easel's: /foreign"
    changes: tuple[dict[str, object], ...] = (
        {"description": "Old"},
        {"nsfw": True},
        {"contexts": [0]},
        {"integration_types": [0, 1]},
        {"default_member_permissions": "8"},
        {"options": []},
        {"description_localizations": {"de": "Alt"}},
    )
    for fields in changes:
        assert str(difference(wanted, changed(stored, **fields))) == f"outdated: {name}", fields
