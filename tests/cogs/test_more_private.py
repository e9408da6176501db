"""The menu of results that the bot reaches by the token of a press alone."""

import pytest

from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, Hold
from tests.support.acting import press
from tests.support.easel import Stage
from tests.support.menus import labels, menu, spoilers, told, until

pytestmark = pytest.mark.long

EXPIRED = Answer(401, {"code": 50027, "message": "Invalid Webhook Token"})
AGAIN = "Press More under the result again."


async def private(at: Stage) -> Message:
    """Return a result that only Ada sees."""
    asked = await at.imagine("a fox", private=True)
    await at.settled()
    assert asked.message is not None
    assert asked.message.pictures()
    return asked.message


async def of_user_install(at: Stage) -> Message:
    """Return a result in a server of which the bot is no member."""
    channel = at.discord.add_channel(at.discord.add_guild("Elsewhere", bot=False), "chat")
    asked = await at.command("imagine", where=channel, user_install_only=True, prompt="a fox")
    await at.settled()
    assert asked.message is not None
    assert asked.message.pictures()
    return asked.message


async def in_direct_messages(at: Stage) -> Message:
    channel = at.discord.dm_channel(at.ada)
    await at.command("imagine", where=channel, prompt="a fox", private=True)
    await at.settled()
    return await at.discord.wait_for_message(lambda it: bool(it.pictures()))


KINDS = {"private": private, "user install": of_user_install, "direct": in_direct_messages}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_menu_changes_the_result_by_the_token_of_the_press(at: Stage, kind: str) -> None:
    async with at.easel(user_install=True):
        result = await KINDS[kind](at)
        at.clock.move(minutes=20)  # the token of the command has expired
        opened = await menu(at, result)
        await press(at, opened, "Recipe")
        await press(at, opened, "Menu")
        await press(at, opened, "Spoiler")
        await until(lambda: spoilers(result) == [True])
        await until(lambda: "Remove spoiler" in labels(opened))
        await press(at, opened, "Remove spoiler")
        await until(lambda: spoilers(result) == [False])
        await until(lambda: "Spoiler" in labels(opened))
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())

    assert result.deleted
    (job,) = await at.jobs()
    assert job.hidden_at is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_after_15_minutes_more_is_pressed_again(at: Stage, kind: str) -> None:
    async with at.easel(user_install=True):
        result = await KINDS[kind](at)
        opened = await menu(at, result)
        at.clock.move(minutes=16)
        assert AGAIN in await told(await press(at, opened, "Spoiler"))
        await press(at, opened, "Delete")
        assert AGAIN in await told(await press(at, opened, "Delete for everybody"))
        assert spoilers(result) == [False]
        again = await menu(at, result)
        await press(at, again, "Spoiler")
        await until(lambda: spoilers(result) == [True])

    assert not result.deleted
    (job,) = await at.jobs()
    assert job.hidden_at is None


async def test_the_menu_serves_before_discord_has_answered_its_follow_up(at: Stage) -> None:
    async with at.easel():
        result = await private(at)
        held = at.discord.faults.add("POST", r"/api/v10/webhooks/\d+/[^/]+", Hold())
        opened = await menu(at, result)
        await press(at, opened, "Spoiler")
        await until(lambda: spoilers(result) == [True])
        held.release()


async def test_after_a_restart_more_is_pressed_again(at: Stage) -> None:
    async with at.easel():
        result = await private(at)
        opened = await menu(at, result)
    async with at.easel():
        assert AGAIN in await told(await press(at, opened, "Spoiler"))
        again = await menu(at, result)
        await press(at, again, "Spoiler")
        await until(lambda: spoilers(result) == [True])


async def test_a_token_that_discord_no_longer_accepts_is_the_same_sentence(at: Stage) -> None:
    """Discord's clock may be ahead of the bot's."""
    async with at.easel():
        result = await private(at)
        opened = await menu(at, result)
        at.discord.faults.add("GET", r"/api/v10/webhooks/.*/@original", EXPIRED)
        at.discord.faults.add("DELETE", r"/api/v10/webhooks/.*/@original", EXPIRED)
        assert AGAIN in await told(await press(at, opened, "Spoiler"))
        await press(at, opened, "Delete")
        assert AGAIN in await told(await press(at, opened, "Delete for everybody"))

    assert not result.deleted


async def test_a_private_result_by_direct_message_is_changed_as_the_bots_own(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(job_timeout=3600):
        await at.imagine("a fox", private=True)
        await at.oxen.created()
        at.clock.move(minutes=16)
        await at.finish()
        await at.settled()
        (result,) = at.discord.channel_messages(at.discord.dm_channel(at.ada))
        opened = await menu(at, result)
        at.clock.move(minutes=16)
        await press(at, opened, "Spoiler")
        await until(lambda: spoilers(result) == [True])


async def test_each_press_of_a_user_install_has_follow_ups_of_its_own(at: Stage) -> None:
    """Discord allows 5 for each interaction there."""
    async with at.easel(user_install=True):
        result = await of_user_install(at)
        for _ in range(7):
            await press(at, await menu(at, result), "Recipe")
