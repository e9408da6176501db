"""The message menu "Recipe": by the message, by the picture, else the file's own word."""

import asyncio
from typing import Any

import aiohttp
import pytest
from sqlalchemy import update

from bot.pictures.marks import Mark, Recipe, SourceType
from bot.sandbox.discord import Channel, Message, Upload, User
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store.tables import jobs
from cogs.delivery import uploads
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.marks import marked

NONE = (
    "No recipe is known for this message. Choose a result of this bot, or a picture that was saved "
    "from one."
)
COMMAND = "```\n/imagine prompt:a fox model:oxen seed:5\n```"


async def recipe(at: Stage, message: Message, *, by: User | None = None) -> str:
    """Return the text of the private reply."""
    by = by or at.ada
    opened = await at.discord.menu(by, message.channel, "Recipe", message)
    await opened.answered()
    shown = await at.discord.wait_for_message(
        lambda it: it.interaction is opened and not it.loading
    )
    assert shown.ephemeral_to is by
    return shown.text()


async def posted(message: Message) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(message.pictures()[0]) as response:
        return await response.read()


async def saved(at: Stage, data: bytes, *, where: Channel | None = None) -> Message:
    """Let Ben post a picture under a name of his own."""
    file = Upload("holiday.png", data, "image/png")
    return await at.discord.say(at.ben, where or at.channel, "look", [file])


async def result(at: Stage, **options: Any) -> Message:  # noqa: ANN401
    await at.imagine("a fox", model="oxen", seed=5, **options)
    (job, *_) = await at.settled()
    return await at.discord.wait_for_message(lambda it: it.id == job.result_message_id)


async def test_a_result_has_its_recipe_for_everybody_in_the_channel(at: Stage) -> None:
    at.oxen.revised_in_rows = True
    async with at.easel():
        message = await result(at)
        own = await recipe(at, message)
        others = await recipe(at, message, by=at.ben)

    assert own == others
    assert COMMAND in own
    assert "seed 5" in own
    assert "7.5 credits" in own
    assert "The service has drawn this longer prompt:\n> a fox" in own


@pytest.mark.long
async def test_a_saved_picture_is_recognised_by_its_bytes(at: Stage) -> None:
    elsewhere = at.discord.add_channel(at.server, "memes")
    async with at.easel():
        data = await posted(await result(at))
        here = await saved(at, data)
        there = await saved(at, data, where=elsewhere)
        told = [
            await recipe(at, here, by=at.ben),
            await recipe(at, there),
            await recipe(at, there, by=at.ben),
        ]

    assert COMMAND in told[0]
    assert COMMAND in told[1]  # of the requester, anywhere
    assert told[2] == NONE  # the result is in another channel


@pytest.mark.long
async def test_a_reduced_copy_is_recognised_too(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_BYTES", 60_000)
    async with at.easel() as app:
        message = await result(at)
        data = await posted(message)
        (original,) = [each for each in await app.services.pictures.files() if each.is_original]
        told = await recipe(at, await saved(at, data), by=at.ben)

    assert "Shrunk" in message.text()
    assert len(data) < original.size
    assert COMMAND in told


@pytest.mark.long
@pytest.mark.parametrize("change", ["hidden", "private"])
async def test_a_result_that_may_not_be_seen_has_no_recipe(at: Stage, change: str) -> None:
    async with at.easel() as app:
        message = await result(at)
        data = await posted(message)
        values = {"hidden_at": at.clock()} if change == "hidden" else {"private": True}
        async with app.services.database.transaction() as tx:
            await tx.execute(update(jobs).values(values))
        copy = await saved(at, data)
        others = [await recipe(at, message, by=at.ben), await recipe(at, copy, by=at.ben)]
        own = [await recipe(at, message), await recipe(at, copy)]

    assert others == [NONE, NONE]
    assert all("/imagine prompt:a fox model:oxen seed:5" in each for each in own)


@pytest.mark.long
async def test_what_a_file_says_is_shown_as_that(at: Stage) -> None:
    forged = Recipe(
        model="oxen",
        prompt="a fox ``` @everyone",
        options={"seed": 5, "```\n@here": "x", "negative_prompt": "**"},
        job="aaaaaaaaaaaaaaaa",
    )
    mark = Mark(SourceType.GENERATED, "A model", forged)
    async with at.easel():
        told = await recipe(at, await saved(at, marked(picture(), mark)))
        garbage = Mark(SourceType.GENERATED, "A model")
        nothing = await recipe(at, await saved(at, marked(picture(), garbage)))

    assert told.startswith("### Recipe, as the file says")
    assert "/imagine prompt:a fox ''' @everyone model:oxen seed:5 negative_prompt:**" in told
    assert told.count("```") == 2
    assert "@here" not in told
    assert "no proof" in told
    assert nothing == NONE


@pytest.mark.long
async def test_a_file_that_names_a_job_is_no_proof(at: Stage) -> None:
    """Neither by its name nor by its metadata."""
    async with at.easel():
        await at.imagine("a secret", private=True, by=at.ben)
        await at.said("a secret")
        async with asyncio.timeout(20):
            while not (await at.jobs(at.ben))[0].delivered_at:
                await asyncio.sleep(0.02)
        (job,) = await at.jobs(at.ben)
        claim = Recipe(model="oxen", prompt="a claim", job=job.id)
        data = marked(picture(), Mark(SourceType.GENERATED, "A model", claim))
        file = Upload(f"easel-{job.id}-1.png", data, "image/png")
        told = await recipe(at, await at.discord.say(at.ada, at.channel, "", [file]))

    assert "a secret" not in told
    assert "as the file says" in told


@pytest.mark.long
async def test_other_messages_have_no_recipe(at: Stage) -> None:
    async with at.easel():
        text = await at.discord.say(at.ben, at.channel, "just words")
        noise = await saved(at, b"\x89PNG\r\n\x1a\n" + b"\0" * 999)
        photo = await saved(at, picture())
        gone = await saved(at, picture("JPEG"))
        at.discord.faults.add("GET", ".*holiday.*", Answer(404), times=1)
        told = [await recipe(at, each) for each in (text, gone, noise, photo)]

    assert told == [NONE] * 4


@pytest.mark.long
async def test_one_recipe_of_a_member_is_searched_for_at_once(at: Stage) -> None:
    async with at.easel():
        photo = await saved(at, picture())
        held = at.discord.faults.add("GET", ".*holiday.*", HoldBefore(), times=None)
        first = await at.discord.menu(at.ada, at.channel, "Recipe", photo)
        await held.reached()
        second = await at.discord.menu(at.ada, at.channel, "Recipe", photo)
        refused = text_of(await second.answered())
        held.remove()
        held.release()
        await at.discord.wait_for_message(lambda it: it.interaction is first and not it.loading)
        again = await recipe(at, photo)

    assert refused.startswith("Another recipe is being searched for.")
    assert again == NONE


@pytest.mark.long
async def test_the_recipe_of_any_prompt_looks_right(at: Stage) -> None:
    prompts = ["x", "狐" * 1500, "`" * 1500, "# a > b ||c|| [e](https://f)"]
    async with at.easel():
        for number, prompt in enumerate(prompts, start=1):
            await at.imagine(prompt, model="oxen")
            job, *_ = await at.settled(number)
            told = await recipe(at, at.discord.world.messages[job.result_message_id or 0])
            assert len(told) <= 4000
            assert told.count("```") == 2
            assert prompt.replace("`", "'") in told
