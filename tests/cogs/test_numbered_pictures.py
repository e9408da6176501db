"""The pictures of a result by their numbers, also after some of them were removed."""

from bot.pictures.store import name_of
from bot.store import pictures
from bot.store.pictures import Role
from tests.support.acting import fields_of, press, submit
from tests.support.easel import Stage
from tests.support.menus import drawn
from tests.support.replying import edited, note, say


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
    for edit, picture, number in (
        (by_form, second, 2),
        (by_reply, second, 2),
        (by_number, third, 3),
    ):
        (source,) = edit.inputs
        assert source.sha256 == picture.sha256
        assert source.url.partition("?")[0].endswith(f"/easel-{job.id}-{number}.png")
