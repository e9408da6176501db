"""The pictures of a result by their numbers, also after some of them were removed."""

import pytest

from bot.jobs import JobStatus
from bot.pictures.store import name_of
from bot.sandbox.discord import Upload
from bot.store import pictures
from bot.store.pictures import Role
from tests.support.acting import fields_of, press, submit
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.menus import drawn
from tests.support.replying import edited, note, say


@pytest.mark.long
async def test_a_picture_that_is_left_is_edited_by_its_number(at: Stage) -> None:
    async with at.easel() as app:
        result = await drawn(at, "three foxes", count=3, model="skills")
        (job,) = await at.jobs()
        async with at.database() as database, database.reading() as view:
            first, second, third = await pictures.of_job(view, job.id, Role.OUTPUT)
        store = app.services.pictures
        await store.remove([file for file in [await store.find(name_of(first))] if file])
        opened = await press(at, result, "Edit")
        (choices,) = [each for each in fields_of(opened).values() if "options" in each]
        await submit(at, opened, {"The change to make": "add a hat"})
        by_form, _ = await edited(at, "add a hat")
        await say(at, result, "add snow")
        by_reply, _ = await edited(at, "add snow")
        await say(at, result, "3: add rain")
        by_number, _ = await edited(at, "add rain")
        await say(at, result, "1: add fog")
        await note(at, "This result has 2 pictures.")

    assert [each["value"] for each in choices["options"]] == ["2", "3"]
    for edit, shown, number in (
        (by_form, second, 2),
        (by_reply, second, 2),
        (by_number, third, 3),
    ):
        (source,) = edit.inputs
        assert source.sha256 == shown.sha256
        assert source.url.partition("?")[0].endswith(f"/easel-{job.id}-{number}.png")


@pytest.mark.long
async def test_a_reduced_picture_is_edited_by_a_reply_at_a_service_without_data_uris(
    at: Stage,
) -> None:
    async with at.easel(oxen_api_key=None):
        at.discord.set_upload_limit(at.server, 900)
        result = await drawn(at, "two foxes", count=2)
        assert "Shrunk to fit the upload limit" in result.text()
        (source,) = await at.jobs()
        at.discord.set_upload_limit(at.server, 10 * 1024 * 1024)
        own = Upload(f"easel-{source.id}-2.png", picture())
        await say(at, result, "2: add snow", [own], by=at.ben)
        job, _ = await edited(at, "add snow", by=at.ben)

    assert job.status is JobStatus.SUCCEEDED
    urls = [*at.skills.generations.values()][-1].body["image_urls"]
    assert isinstance(urls, list)
    assert str(urls[0]).partition("?")[0] == str(result.pictures()[1]).partition("?")[0]
    assert "/easel-" in str(urls[1])
    assert urls[0] != urls[1]
