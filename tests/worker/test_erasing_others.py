"""Pictures of a member in the jobs of others, and copies of pictures outside of the database."""

import asyncio
import io
import json
import shutil
import zipfile
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete as delete_rows
from sqlalchemy import update

from bot.jobs import Job
from bot.pseudonyms import Pseudonyms
from bot.sandbox.discord import Message, Upload, User
from bot.store.tables import job_pictures, jobs
from bot.worker import erasing
from tests.support.easel import Stage, text_of
from tests.worker.test_erasing import (
    KEY,
    MINE,
    delete,
    draw,
    drawn,
    erased,
    everything,
    files,
    restore_file,
)

NAME = "my-passport.png"

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def with_key(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "WAIT", 0.05)
    at.settings = {**at.settings, "pseudonym_key": KEY, "edit_others": True}


async def take(at: Stage, prompt: str) -> Job:
    """Let Ben edit a picture in a message of Ada's."""
    posted = await at.discord.say(at.ada, at.channel, "look", [Upload(NAME, MINE)])
    opened = await (await at.discord.menu(at.ben, at.channel, "Edit image", posted)).answered()
    assert opened.modal is not None
    (field,) = [each["component"]["custom_id"] for each in opened.modal["components"]]
    await (await at.discord.submit_modal(at.ben, opened, {field: prompt})).answered()
    await at.result(prompt)
    return next(each for each in await at.jobs(at.ben) if each.request.prompt == prompt)


async def export(at: Stage, *, by: User) -> dict[str, bytes]:
    """Return the files in the last export of a member."""
    before = {*at.discord.world.messages}
    asked = await at.command("mydata export", by=by, here=True)
    assert "collected" in text_of(asked)

    def sent() -> list[Message]:
        return [
            each
            for number, each in at.discord.world.messages.items()
            if number not in before and any(file.filename.endswith(".zip") for file in each.files)
        ]

    async with asyncio.timeout(20):
        while not sent():
            await asyncio.sleep(0.05)
    (file,) = [file for file in sent()[0].files if file.filename.endswith(".zip")]
    with zipfile.ZipFile(io.BytesIO(file.data)) as found:
        return {name: found.read(name) for name in found.namelist()}


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("own", [False, True])
async def test_a_picture_that_another_member_has_taken_goes(at: Stage, own: bool) -> None:
    """The picture may be all that is stored about the author."""
    async with at.easel():
        if own:
            await at.edit(Upload("mine.png", MINE), prompt="a walrus")
            await at.result("a walrus")
        job = await take(at, "a badger")
        stored = files(at)
        await delete(at)
        await erased(at)
        again = await at.jobs(at.ben)

    assert [each.inputs[0].name for each in again] == [""]
    assert len(files(at)) == len(stored) - (2 if own else 1)
    text = await everything(at)
    assert NAME not in text
    assert str(at.ada.id) not in text
    assert job.request.prompt in text


async def test_a_picture_that_was_never_stored_leaves_no_address(at: Stage) -> None:
    """The job of the other member was canceled before."""
    at.audited = False  # the rows are made up
    async with at.easel():
        await take(at, "a badger")
        async with at.database() as database, database.transaction() as tx:
            await tx.execute(update(jobs).values(inputs_stored=False))
            await tx.execute(delete_rows(job_pictures).where(job_pictures.c.role == "input"))
        await drawn(at, "a zebra", by=at.ada)
        await delete(at)
        await erased(at)

    text = await everything(at)
    assert NAME not in text
    assert str(at.ada.id) not in text


async def test_exports_have_a_taken_picture_of_the_author_alone(at: Stage) -> None:
    async with at.easel():
        await take(at, "a badger")
        await take(at, "an otter")
        author = await export(at, by=at.ada)
        taker = await export(at, by=at.ben)

    (picture,) = [name for name in author if name.startswith("pictures/")]
    assert [each["file"] for each in lines(author["taken.jsonl"])] == [picture, picture]
    assert author[picture] == MINE
    assert picture not in taker
    assert NAME not in taker["requests.jsonl"].decode()
    assert [each["inputs"][0]["url"] for each in lines(taker["requests.jsonl"])] == [None, None]


async def test_a_backup_loses_the_pictures_that_were_deleted(at: Stage) -> None:
    """It is made into the same folder each time."""
    target = at.folder / "backup"
    async with at.easel() as app:
        await draw(at)
        kept = await drawn(at, "a badger", by=at.ben)
        await app.services.pictures.copy_to(target)
        everybodys = {path.name for path in target.glob("??/*")}
        await delete(at)
        await erased(at)
        await app.services.pictures.copy_to(target)

    assert {path.name for path in target.glob("??/*")} == files(at) < everybodys
    assert kept is not None


async def test_files_that_come_back_without_a_row_are_removed_at_the_start(at: Stage) -> None:
    if at.postgres_url:
        return  # the files are the same
    async with at.easel():
        await draw(at)
        await at.settled(2)
        saved = at.folder / "saved"
        await asyncio.to_thread(shutil.copytree, at.folder / "pictures", saved)
        await delete(at)
        await erased(at)
    rows = at.path.read_bytes()
    shutil.copytree(saved, at.folder / "pictures", dirs_exist_ok=True)
    restore_file(at.path, rows)
    assert files(at)
    async with at.easel(), asyncio.timeout(20):
        while files(at):
            await asyncio.sleep(0.05)


async def test_another_key_in_the_journal_ends_the_deletions(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The start did not see the journal."""
    at.fails = True
    async with at.easel() as app:
        await draw(at)
        await delete(at)
        await erased(at)
        eraser, other = erasing.Eraser(app.services), Pseudonyms(SecretStr("x" * 40))
        assert not await eraser._replay(other)
        refused = await at.command("mydata delete")

    assert "cannot be deleted now" in text_of(refused)
    assert "is not the key by which members' data was deleted before" in caplog.text
