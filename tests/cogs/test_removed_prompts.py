"""Jobs whose prompt was removed, by age or by their member: shown in words, never repeated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from discord.ui import TextDisplay

from bot.app import App
from bot.jobs import Job
from bot.providers.oxen.model import oxen_spec
from bot.sandbox.discord import Message
from bot.studio.menu import Menu
from bot.worker.old_prompts import OldPrompts
from cogs.ui.lists import job_choice
from cogs.ui.more import menu_view
from cogs.ui.panel import prompt_of, quoted
from tests.cogs.test_more_views import JOB
from tests.cogs.test_recipe import recipe
from tests.cogs.test_results import fields, submit
from tests.support.acting import press
from tests.support.easel import Stage, text_of
from tests.support.menus import drawn, forge, menu, told, until
from tests.support.pseudonyms import KEY

REMOVED = "Prompt removed: the operator of this bot stores prompts for a limited time"
SPEC = oxen_spec(price=1)
REFUSED = "The prompt of this job is no longer stored. Press Edit under the result"


@asynccontextmanager
async def with_old_result(at: Stage) -> AsyncIterator[tuple[App, Message, Job]]:
    """Run the bot, with a result whose prompt was removed."""
    async with at.easel(keep_prompts_days=1) as app:
        result = await drawn(at, "a fox", negative_prompt="rain", model="oxen")
        at.clock.move(days=2)
        assert await OldPrompts(app.services).remove() == 1
        (job,) = await at.jobs()
        yield app, result, job


async def shown(at: Stage, job: Job) -> Message:
    used = await at.discord.command(at.ada, at.channel, "show", {"job": job.id})
    return await at.discord.wait_for_message(
        lambda it: it.interaction is used and bool(it.pictures())
    )


@pytest.mark.long
async def test_lists_say_that_the_prompt_was_removed(at: Stage) -> None:
    async with with_old_result(at) as (_, result, job):
        await press(at, await menu(at, result), "Favourite")
        history = await at.history()
        found = await at.history(text="fox")
        favourites = await at.history(favourites=True)
        one = await shown(at, job)
        privacy = text_of(await at.command("privacy"))

    for message in (history, favourites, one):
        assert REMOVED in message.text().replace("\\", "")
        assert "fox" not in message.text()
        assert "rain" not in message.text()
    assert "★ favourite" in favourites.text()
    assert "No job of yours fits" in found.text()
    assert "Prompts, and the names of attached pictures, for 1 day after the request" in privacy


@pytest.mark.long
async def test_nothing_repeats_a_removed_prompt(at: Stage) -> None:
    async with with_old_result(at) as (_, result, job):
        opened = await menu(at, result)
        answers = [
            text_of(await press(at, result, "Again")),
            text_of(await press(at, result, "Remix", by=at.ben)),
            await told(await press(at, opened, "Recipe")),
            await told(await forge(at, at.ada, opened, f"easel:expanded:{job.id}")),
            await recipe(at, result, by=at.ben),
        ]
        assert len(await at.jobs()) == 1

    for answer in answers:
        assert REFUSED in answer
        assert "fox" not in answer


@pytest.mark.long
async def test_edit_changes_the_picture_all_the_same(at: Stage) -> None:
    async with with_old_result(at) as (_, result, job):
        opened = await press(at, result, "Edit")
        await submit(at, opened, {"prompt": "add snow"})
        edited = await at.result("add snow")
        async with asyncio.timeout(20):
            while len(await at.jobs()) < 2:
                await asyncio.sleep(0.02)
        (made, _) = await at.jobs()

    assert made.source_job_id == job.id
    assert "made from [a picture]" in edited.text()


@pytest.mark.long
async def test_a_form_that_was_opened_before_is_submitted(at: Stage) -> None:
    """Everything that the request needs has been typed."""
    async with at.easel(keep_prompts_days=1) as app:
        opened = await press(at, await drawn(at, "a fox"), "Remix")
        assert fields(opened)["prompt"]["value"] == "a fox"
        at.clock.move(days=2)
        await OldPrompts(app.services).remove()
        await submit(at, opened, {"prompt": "a red fox"})
        await until(lambda: len(at.created()) == 2)

    assert at.created()[1]["prompt"] == "a red fox"


async def test_without_the_setting_privacy_names_no_days_for_prompts(at: Stage) -> None:
    async with at.easel():
        assert "Prompts, and the names" not in text_of(await at.command("privacy"))


def test_a_member_who_has_deleted_the_prompt_is_named_as_such() -> None:
    blank = replace(JOB, request=replace(JOB.request, prompt=""))

    assert (prompt_of(JOB), quoted(JOB)) == ("a fox", "> a fox")
    assert quoted(blank) == f"-# {REMOVED}"
    assert prompt_of(replace(blank, user_id=KEY.of(1))) == "Prompt deleted by the member"


@pytest.mark.parametrize("user_id", [JOB.user_id, KEY.of(1)])
def test_every_page_of_the_menu_takes_a_removed_prompt(user_id: int) -> None:
    blank = replace(JOB, request=replace(JOB.request, prompt=""), user_id=user_id)
    texts = [
        item.content
        for view in (menu_view(Menu(blank, False, True), SPEC, posted=True, thread=True),)
        for item in view.walk_children()
        if isinstance(item, TextDisplay)
    ]

    assert any(prompt_of(blank) in each for each in texts)
    assert job_choice(blank).endswith(prompt_of(blank))
    assert len(job_choice(blank)) <= 100
