"""A deferral whose confirmation is lost or unreadable: the member does not wait for ever."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bot.sandbox.discord import Interaction
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault, ResetAfter
from tests.support.acting import press
from tests.support.easel import Stage
from tests.support.managing import let_manage
from tests.support.menus import drawn, menu

CALLBACK = r".*/callback"
LOST = [AnswerAfter(204), AnswerAfter(200, "<html>accepted</html>"), ResetAfter()]


async def usage(at: Stage) -> Interaction:
    return await at.discord.command(at.ada, at.channel, "usage", {})


async def history(at: Stage) -> Interaction:
    return await at.discord.command(at.ada, at.channel, "history", {})


async def show(at: Stage) -> Interaction:
    (job,) = await at.jobs()
    return await at.discord.command(at.ada, at.channel, "show", {"job": job.id})


async def report(at: Stage) -> Interaction:
    return await at.discord.command(at.ada, at.channel, "credits report", {})


async def recipe(at: Stage) -> Interaction:
    result = await at.result("a fox")
    return await at.discord.menu(at.ada, at.channel, "Recipe", result)


DEFERRED: list[tuple[Callable[[Stage], Awaitable[Interaction]], str]] = [
    (usage, "Used: **7.5 credits**"),
    (history, "a fox"),
    (show, "a fox"),
    (report, "used 7.5 credits"),
    (recipe, "/imagine prompt:a fox"),
]


@pytest.mark.long
@pytest.mark.parametrize("fault", LOST, ids=str)
@pytest.mark.parametrize(("act", "words"), DEFERRED, ids=[each.__name__ for each, _ in DEFERRED])
async def test_the_reply_follows_an_unconfirmed_deferral(
    at: Stage, act: Callable[[Stage], Awaitable[Interaction]], words: str, fault: Fault
) -> None:
    let_manage(at)
    async with at.easel():
        await drawn(at)
        met = at.discord.faults.add("POST", CALLBACK, fault)
        opened = await act(at)
        await met.reached()
        said = await at.discord.wait_for_message(
            lambda it: it.interaction is opened and not it.loading
        )

    assert words in said.text()
    assert said.ephemeral_to is at.ada


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_a_menu_follows_an_unconfirmed_deferral(at: Stage, fault: Fault) -> None:
    async with at.easel():
        result = await drawn(at)
        at.discord.faults.add("POST", CALLBACK, fault)
        opened = await menu(at, result)
        at.discord.faults.add("POST", CALLBACK, fault)
        await press(at, opened, "Spoiler")
        async with asyncio.timeout(20):
            while "Remove spoiler" not in [each["label"] for each in opened.buttons()]:
                await asyncio.sleep(0.01)
        (job,) = await at.jobs()

    assert job.spoiler


async def test_a_deferral_that_never_arrived_is_one_line_in_the_log(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Discord shows the member that the bot did not respond."""
    async with at.easel():
        await drawn(at)
        at.discord.faults.add("POST", CALLBACK, Answer(204))
        opened = await history(at)
        async with asyncio.timeout(20):
            while "did not arrive" not in caplog.text:
                await asyncio.sleep(0.01)

    assert opened.message is None
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []
