"""The buttons under a result, when something has gone in the meantime."""

import asyncio
from dataclasses import replace

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Upload
from bot.store.jobs import change
from tests.support.acting import press, submit
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.menus import drawn, labels, menu

CAT = Upload("cat.png", picture())
UNAVAILABLE = "This result is private, was deleted, or is unknown here."
REMOVED = "The pictures of this job are no longer stored."


async def hide(at: Stage, job_id: str) -> None:
    async with at.database() as database, database.transaction() as tx:
        await change(tx, job_id, hidden_at=at.clock())


@pytest.mark.long
async def test_a_form_of_a_result_that_was_deleted_meanwhile_requests_nothing(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at)
        remix = await press(at, result, "Remix", by=at.ben)
        edit = await press(at, result, "Edit", by=at.ben)
        (job,) = await at.jobs()
        await hide(at, job.id)
        for opened, label in ((remix, "The picture to draw"), (edit, "The change to make")):
            sent = await submit(at, opened, {label: "a hare"})
            assert sent.message is not None
            assert sent.message.ephemeral_to is at.ben
            assert sent.message.text().startswith(UNAVAILABLE)

    assert await at.jobs(at.ben) == []
    assert len(at.created()) == 1


@pytest.mark.long
async def test_a_reference_that_was_removed_is_named_by_each_button(at: Stage) -> None:
    async with at.easel() as app:
        await at.edit(CAT, prompt="make it blue")
        result = await at.result("make it blue")
        await at.settled()
        remix = await press(at, result, "Remix")
        store = app.services.pictures
        await store.remove(await store.files())
        assert text_of(await press(at, result, "Again")).startswith(REMOVED)
        sent = await submit(at, remix, {"The picture to draw": "make it red"})
        assert text_of(sent).startswith(REMOVED)
        assert text_of(await press(at, result, "Edit")).startswith(REMOVED)

    assert len(await at.jobs()) == 1


@pytest.mark.long
async def test_pictures_that_are_removed_while_the_form_is_open(at: Stage) -> None:
    async with at.easel() as app:
        result = await drawn(at)
        opened = await press(at, result, "Edit")
        store = app.services.pictures
        await store.remove(await store.files())
        sent = await submit(at, opened, {"The change to make": "add a hat"})
        assert text_of(sent).startswith(REMOVED)

    assert len(await at.jobs()) == 1


@pytest.mark.long
async def test_a_result_of_a_model_that_is_gone_is_edited_and_has_its_menu(at: Stage) -> None:
    async with at.easel():
        result = await drawn(at, model="skills")
    async with at.easel(skills_api_key=None):
        opened = await press(at, result, "Edit")
        await submit(at, opened, {"The change to make": "add a hat"})
        await at.result("add a hat")
        more = await menu(at, result)
        for page in ("Recipe", "Lineage"):
            await press(at, more, page)
            assert "Menu" in labels(more)
            await press(at, more, "Menu")
        await at.settled(2)

    made, _ = await at.jobs()
    assert (made.status, made.request.model) == (JobStatus.SUCCEEDED, "oxen")


@pytest.mark.long
async def test_a_form_sent_twice_at_once_requests_twice(at: Stage) -> None:
    """Discord gives each submit an interaction of its own."""
    async with at.easel():
        result = await drawn(at)
        opened = await press(at, result, "Remix")
        values = {"The picture to draw": "a hare"}
        await asyncio.gather(submit(at, opened, values), submit(at, opened, values))
        jobs = await at.settled(3)

    assert [job.request.prompt for job in jobs].count("a hare") == 2


@pytest.mark.long
async def test_an_option_that_the_model_has_lost_is_dropped_by_a_remix(at: Stage) -> None:
    async with at.easel() as app:
        await at.imagine("a fox", model="oxen", negative_prompt="rain", aspect_ratio="16:9")
        result = await at.result("a fox")
        catalog = app.services.catalog
        spec = catalog.get("oxen")
        left = {name: each for name, each in spec.options.items() if name != "negative_prompt"}
        catalog.update(replace(spec, options=left))
        refused = await press(at, result, "Again")
        assert "negative_prompt" in text_of(refused)
        opened = await press(at, result, "Remix")
        await submit(at, opened, {"The picture to draw": "a hare"})
        await at.result("a hare")

    _, body = at.created()
    assert body["aspect_ratio"] == "16:9"
    assert "negative_prompt" not in body


@pytest.mark.long
async def test_a_field_that_a_form_does_not_have_carries_over(at: Stage) -> None:
    """The form of a model that is gone knows nothing of its options."""
    async with at.easel():
        await at.imagine("a fox", model="skills", negative_prompt="rain")
        result = await at.result("a fox")
        await at.settled()
    async with at.easel(skills_api_key=None):
        opened = await press(at, result, "Remix")
        await submit(at, opened, {"The picture to draw": "a hare"})
        await at.result("a hare")

    (body,) = at.created()
    assert body["negative_prompt"] == "rain"
