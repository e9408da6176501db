"""The menu behind *More*, in a server channel where the bot is a member."""

from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from bot.jobs import Job
from bot.sandbox.discord import Message
from bot.sandbox.discord.permissions import MANAGE_MESSAGES
from bot.store import favourites, jobs
from bot.studio import menu as use_cases
from tests.support.acting import fields_of, press
from tests.support.easel import Stage, text_of
from tests.support.menus import drawn, labels, menu, spoilers, told, until

PROMPTS = ["x", "一只雪中的狐狸", "**bold** `code` [a](https://x) > @everyone # h", "fox " * 375]


async def stored(at: Stage, job_id: str) -> Job:
    async with at.database() as database, database.reading() as view:
        job = await jobs.get(view, job_id)
    assert job is not None
    return job


async def pictures_sent(at: Stage, number: int = 1) -> list[Message]:
    """Wait for private messages with pictures."""

    def found() -> list[Message]:
        return [
            each
            for each in at.discord.world.messages.values()
            if each.ephemeral_to is not None and each.pictures()
        ]

    await until(lambda: len(found()) >= number)
    return found()


async def test_the_requester_is_offered_everything(at: Stage) -> None:
    async with at.easel():
        opened = await menu(at, await drawn(at))

    assert labels(opened) == [
        *("Recipe", "Originals", "Lineage", "Favourite", "Spoiler"),
        *("Continue in a thread", "Delete"),
    ]
    assert "a fox" in opened.text()


@pytest.mark.long
async def test_others_are_offered_no_change_of_the_result(at: Stage) -> None:
    async with at.easel():
        opened = await menu(at, await drawn(at), by=at.ben)

    assert labels(opened) == [
        *("Recipe", "Originals", "Lineage", "Favourite", "Continue in a thread"),
    ]


@pytest.mark.long
@pytest.mark.parametrize("prompt", PROMPTS, ids=["short", "Chinese", "Markdown", "long"])
async def test_every_page_takes_every_prompt(at: Stage, prompt: str) -> None:
    """The stand-in holds every page against Discord's limits, and the audit of views the rest."""
    async with at.easel():
        await at.imagine(prompt)
        await at.settled()
        result = await at.discord.wait_for_message(lambda it: bool(it.pictures()))
        opened = await menu(at, result)
        for page in ("Recipe", "Lineage"):
            await press(at, opened, page)
            assert "Menu" in labels(opened)
            await press(at, opened, "Menu")
        await press(at, opened, "Delete")
        await press(at, opened, "Keep")
        await press(at, opened, "Continue in a thread")
        await until(lambda: "The thread is open" in opened.text())
        (thread,) = [each for each in at.discord.world.channels.values() if each.is_thread]
        await press(at, opened, "Menu")

    assert "Recipe" in labels(opened)
    assert 1 <= len(thread.name) <= 100
    assert prompt.startswith(thread.name.rstrip("…"))
    assert not any(each.pings_everyone for each in at.discord.world.messages.values())


@pytest.mark.long
async def test_the_recipe_has_the_command_to_copy(at: Stage) -> None:
    async with at.easel():
        opened = await menu(at, await drawn(at, seed=7, aspect_ratio="16:9"), by=at.ben)
        await press(at, opened, "Recipe", by=at.ben)

    assert "```\n/imagine prompt:a fox " in opened.text()
    assert "seed:7" in opened.text()
    assert labels(opened) == ["Menu"]


async def test_the_originals_are_sent_as_they_were_made(at: Stage) -> None:
    async with at.easel() as app:
        result = await drawn(at, "two foxes", count=2)
        await press(at, await menu(at, result, by=at.ben), "Originals", by=at.ben)
        (sent,) = await pictures_sent(at)
        paths = [urlsplit(each).path for each in sent.pictures()]
        got = [sha256(at.discord.world.cdn.files[path].data).hexdigest() for path in paths]
        made = [each.sha256 for each in await app.services.pictures.files()]

    assert sent.ephemeral_to is at.ben
    assert len(set(got)) == 2
    assert sorted(got) == sorted(made)


@pytest.mark.long
async def test_originals_follow_in_several_messages(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.easel() as app:
        opened = await menu(at, await drawn(at, "two foxes", count=2))
        largest = max(each.size for each in await app.services.pictures.files())
        monkeypatch.setattr("cogs.delivery.originals.UPLOAD_BYTES", largest)
        await press(at, opened, "Originals")
        sent = await pictures_sent(at, 2)

    assert [len(each.pictures()) for each in sent] == [1, 1]


@pytest.mark.long
async def test_an_original_over_every_limit_is_named(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.easel() as app:
        opened = await menu(at, await drawn(at))
        (file,) = await app.services.pictures.files()
        monkeypatch.setattr("cogs.delivery.originals.UPLOAD_BYTES", file.size - 1)
        pressed = await press(at, opened, "Originals")
        (job,) = await at.jobs()
        await until(lambda: pressed.message is not None and not pressed.message.loading)

    size = f"{file.size / 1e6:.1f}"
    assert f"Too large to be sent here: easel-{job.id}-1.png ({size} MB)." in text_of(pressed)


@pytest.mark.long
async def test_a_year_later_after_restarts_everything_works(at: Stage) -> None:
    async with at.easel(keep_days=500):
        result = await drawn(at)
        (job,) = await at.jobs()
    at.clock.move(days=365)
    async with at.easel(keep_days=500):
        opened = await menu(at, result)
    async with at.easel(keep_days=500):
        await press(at, opened, "Originals")
        await pictures_sent(at)
        await press(at, opened, "Spoiler")
        await until(lambda: spoilers(result) == [True])
        await until(lambda: "Remove spoiler" in labels(opened))
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())

    assert result.deleted
    assert (await stored(at, job.id)).hidden_at is not None


@pytest.mark.long
async def test_originals_that_are_removed_are_a_sentence(at: Stage) -> None:
    async with at.easel(keep_days=30) as app:
        result = await drawn(at)
        at.clock.move(days=40)
        await app.services.retention.sweep()
        assert await app.services.pictures.files() == []
        pressed = await press(at, await menu(at, result), "Originals")
        await until(lambda: pressed.message is not None and not pressed.message.loading)

    assert "The original pictures are no longer stored." in text_of(pressed)


@pytest.mark.long
async def test_a_favourite_is_each_members_own(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        opened = await menu(at, result, by=at.ben)
        await press(at, opened, "Favourite", by=at.ben)
        assert "Remove favourite" in labels(opened)
        assert "Favourite" in labels(await menu(at, result))
        async with at.database() as database, database.reading() as view:
            assert await favourites.has(view, at.ben.id, job.id)
            assert not await favourites.has(view, at.ada.id, job.id)
        await press(at, opened, "Remove favourite", by=at.ben)
        assert "Favourite" in labels(opened)

    async with at.database() as database, database.reading() as view:
        assert await favourites.number_of(view, at.ben.id) == 0


@pytest.mark.long
async def test_favourites_have_a_limit(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_cases.MAX_FAVOURITES == 1000
    monkeypatch.setattr(use_cases, "MAX_FAVOURITES", 1)
    async with at.easel():
        first, second = await drawn(at, "a fox"), await drawn(at, "a hare")
        opened = await menu(at, first)
        await press(at, opened, "Favourite")
        refused = await press(at, await menu(at, second), "Favourite")
        assert "You have 1 favourites, and no more are possible." in text_of(refused)
        await press(at, opened, "Remove favourite")
        other = await menu(at, second)
        await press(at, other, "Favourite")

    assert "Remove favourite" in labels(other)


@pytest.mark.long
async def test_a_spoiler_is_put_on_and_taken_off_and_nothing_else_changes(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at, "two foxes", count=2)
        text, row = result.text(), result.buttons()
        names = [urlsplit(each).path for each in result.pictures()]
        ids = [each["id"] for each in result.tree]
        opened = await menu(at, result)
        await press(at, opened, "Spoiler")
        await until(lambda: "Remove spoiler" in labels(opened))
        assert spoilers(result) == [True, True]
        assert (await at.jobs())[0].spoiler
        await press(at, opened, "Remove spoiler")
        await until(lambda: "Spoiler" in labels(opened))

    assert spoilers(result) == [False, False]
    assert not (await at.jobs())[0].spoiler
    assert (result.text(), result.buttons()) == (text, row)
    assert [urlsplit(each).path for each in result.pictures()] == names
    assert [each["id"] for each in result.tree] == ids
    assert result.pings == [at.ada.id]


@pytest.mark.long
async def test_a_moderator_may_change_what_others_have_requested(at: Stage) -> None:
    at.discord.set_permissions(at.server, at.ben, MANAGE_MESSAGES)
    async with at.easel():
        result = await drawn(at)
        opened = await menu(at, result, by=at.ben)
        await press(at, opened, "Spoiler", by=at.ben)
        await until(lambda: spoilers(result) == [True])
        await until(lambda: "Remove spoiler" in labels(opened))
        await press(at, opened, "Delete", by=at.ben)
        await press(at, opened, "Delete for everybody", by=at.ben)
        await until(lambda: "The result is deleted" in opened.text())
        again = await at.command("show", job=(await at.jobs())[0].id)
        await pictures_sent(at)

    assert result.deleted
    assert "a fox" in text_of(again)  # the requester keeps the pictures


@pytest.mark.long
async def test_a_deleted_result_is_charged_and_seen_by_its_requester_alone(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        before = await at.balance()
        of_ben = await menu(at, result, by=at.ben)
        opened = await menu(at, result)
        await press(at, opened, "Delete")
        assert "Credits are not returned" in opened.text()
        assert result in at.discord.channel_messages(at.channel)
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())
        refused = text_of(await press(at, of_ben, "Recipe", by=at.ben))
        assert "This result is private, was deleted, or is unknown here." in refused

    assert result.deleted
    assert await at.balance() == before < 0


@pytest.mark.long
async def test_a_status_message_that_is_left_is_deleted_with_the_result(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        status = asked.message
        assert status is not None
        await at.said("Drawing")
        await at.finish()
        result = await at.result("a fox")
        await at.settled()
        status.deleted = False  # as one whose removal Discord has refused
        opened = await menu(at, result)
        await press(at, opened, "Delete")
        await press(at, opened, "Delete for everybody")
        await until(lambda: "The result is deleted" in opened.text())

    assert status.deleted


@pytest.mark.long
async def test_the_drawn_prompt_is_remixed_without_another_expansion(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        async with at.database() as database, database.transaction() as tx:
            await jobs.change(tx, job.id, expanded_prompt="a red fox in deep snow at dawn")
        opened = await menu(at, result, by=at.ben)
        form = await press(at, opened, "Remix expanded prompt", by=at.ben)
        shown = fields_of(form)
        await press(at, opened, "Recipe", by=at.ben)

    assert shown["The picture to draw"]["value"] == "a red fox in deep snow at dawn"
    (switch,) = [
        each
        for field in shown.values()
        for each in field.get("options", ())
        if each["value"] == "expand"
    ]
    assert not switch.get("default")
    assert "a red fox in deep snow at dawn" in opened.text()


@pytest.mark.long
async def test_a_drawn_prompt_that_is_too_long_is_refused(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        (job,) = await at.jobs()
        async with at.database() as database, database.transaction() as tx:
            await jobs.change(tx, job.id, expanded_prompt="f" * 2001)
        refused = await told(await press(at, await menu(at, result), "Remix expanded prompt"))

    assert "has 2001 characters, and a request has at most 2000" in refused
