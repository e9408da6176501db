"""Access: blocked members and foreign servers are refused everything but the help and a cancel."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Interaction, Upload
from tests.support.easel import Stage, text_of
from tests.support.files import picture

CAT = Upload("cat.png", picture())
BLOCKED = "You are blocked"
COMMANDS: dict[str, dict[str, Any]] = {
    "imagine": {"prompt": "a fox"},
    "edit": {"prompt": "a fox", "image": CAT},
    "jobs": {},
    "history": {},
    "show": {"job": "aaaaaaaaaaaaaaaa"},
    "usage": {},
    "models": {},
}


@pytest.fixture
async def blocked(at: Stage) -> AsyncIterator[Stage]:
    """Ada has a result and a running job, and is blocked since."""
    async with at.easel():
        await at.imagine("a hare")
        await at.result("a hare")
        await at.settled()
        at.oxen.manual = True
        await at.imagine("an owl")
        await at.said("Drawing")
        await at.history()
    async with at.easel(blocked_users=frozenset({at.ada.id})):
        yield at


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_blocked_member_is_refused_every_command(at: Stage, name: str) -> None:
    async with at.easel(blocked_users=frozenset({at.ada.id})):
        assert BLOCKED in text_of(await at.command(name, **COMMANDS[name]))

    assert await at.jobs() == []


@pytest.mark.parametrize("name", ["jobs", "usage", "models"])
async def test_a_server_that_is_not_allowed_is_refused_every_command(at: Stage, name: str) -> None:
    async with at.easel(servers=frozenset({1})):
        assert "is not enabled here" in text_of(await at.command(name))
        assert "Easel makes pictures" in text_of(await at.command("help"))
        assert "Your data" in text_of(await at.command("privacy"))


async def test_a_blocked_member_reads_the_help_and_cancels_an_own_job(blocked: Stage) -> None:
    at = blocked
    assert "Easel makes pictures" in text_of(await at.command("help"))
    assert "Your data" in text_of(await at.command("privacy"))
    job = (await at.jobs())[0]
    completed = await at.discord.complete(at.ada, at.channel, "cancel", {"job": ""}, "job")
    assert [each["value"] for each in completed] == [job.id]
    assert "Cancel" in text_of(await at.command("cancel", job=job.id))
    assert (await at.settled(2))[0].status is JobStatus.CANCELED


async def test_a_blocked_member_cancels_by_the_button(blocked: Stage) -> None:
    at = blocked
    status = await at.said("Drawing")
    pressed = await at.discord.click(at.ada, status, str(status.buttons()[0]["custom_id"]))
    await pressed.answered()
    assert (await at.settled(2))[0].status is JobStatus.CANCELED


async def test_a_blocked_member_gets_no_completions_menu_or_history(blocked: Stage) -> None:
    at = blocked
    job = (await at.jobs())[1]
    completed = await at.discord.complete(at.ada, at.channel, "show", {"job": ""}, "job")
    assert completed == []
    message = await at.discord.say(at.ben, at.channel, "look", [CAT])
    opened = await at.discord.menu(at.ada, at.channel, "Edit image", message)
    assert BLOCKED in text_of(await opened.answered())
    messages = at.discord.world.messages.values()
    history = next(each for each in messages if each.interactive("easel:history"))
    chosen: Interaction = await at.discord.select(at.ada, history, "easel:history", [job.id])
    assert BLOCKED in text_of(await chosen.answered())


async def test_nobody_switches_the_checker_off_by_an_install_of_their_own(at: Stage) -> None:
    """Everybody manages a server of their own, and can mark a channel there as age-restricted."""
    adult = at.discord.add_channel(at.server, "adults", nsfw=True)
    at.discord.set_permissions(at.server, at.ada, 1 << 5)  # Manage Server
    options: dict[str, Any] = {"prompt": "a fox", "model": "skills", "safety_checker": False}
    async with at.easel(allow_unsafe=True, user_install=True):
        guest = await at.command("imagine", where=adult, user_install_only=True, **options)
        assert "cannot be switched off here" in text_of(guest)
        await at.command("imagine", where=adult, **options)
        await at.result("a fox")


async def test_the_checker_stays_on_outside_the_allowed_servers(at: Stage) -> None:
    adult = at.discord.add_channel(at.server, "adults", nsfw=True)
    at.discord.set_permissions(at.server, at.ada, 1 << 5)
    options: dict[str, Any] = {"prompt": "a fox", "model": "skills", "safety_checker": False}
    async with at.easel(allow_unsafe=True, user_install=True, servers=frozenset({1})):
        guest = await at.command("imagine", where=adult, user_install_only=True, **options)

    assert "cannot be switched off here" in text_of(guest)
