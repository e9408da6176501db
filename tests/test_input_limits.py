"""Bounds of input pictures: bytes in flight, turns of the members, the disk, and a day's sum."""

import asyncio
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot import quotas
from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.pictures import inputs, retention
from bot.pictures.download import BYTES_IN_FLIGHT
from bot.quotas import INPUT_BYTES, TooManyInputBytes, check_input_bytes
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import HoldBefore
from bot.store import members, pictures
from bot.store.pictures import Role
from tests.support.easel import Stage, text_of
from tests.support.files import picture

MB = 1_000_000
CDN = r"/ephemeral-attachments/.*"
NOW = datetime.now(UTC)


def upload(name: str, size: int) -> Upload:
    """Return a picture of its own with this size."""
    data = picture()
    return Upload(f"{name}.png", data + os.urandom(size - len(data)))


def stored(at: Stage) -> int:
    """Return the bytes of all files in the picture folder."""
    total = 0
    for path in (at.folder / "pictures").rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def has_inputs(at: Stage, job: Job) -> bool:
    """Return whether the input pictures of a job are stored."""
    async with at.database() as database, database.reading() as view:
        return bool(await pictures.of_job(view, job.id, Role.INPUT))


@contextmanager
def peak(measure: Callable[[], int]) -> Iterator[list[int]]:
    """Measure as often as possible, and yield a list that has the maximum at the end."""
    values = [0]

    async def watch() -> None:
        while True:
            values[0] = max(values[0], measure())
            await asyncio.sleep(0.01)

    task = asyncio.create_task(watch())
    yield values
    task.cancel()


@pytest.mark.long
async def test_80_edits_of_one_member_do_not_delay_another(at: Stage) -> None:
    at.oxen.manual = at.skills.manual = True
    files = [upload(f"file{number}", 4_900_000) for number in range(80)]
    async with at.easel() as app:
        limit = app.services.downloader.in_flight
        with peak(lambda: limit.used) as in_flight:
            for number, file in enumerate(files):
                await at.edit(file, prompt=f"ada {number}", model="skills")
            began = time.monotonic()
            await at.edit(upload("ben", 4_900_000), by=at.ben, prompt="of ben", model="oxen")
            await at.discord.wait_for_message(
                lambda message: "of ben" in message.text() and "Drawing" in message.text(), 20
            )
            seconds = time.monotonic() - began
            waiting = [job for job in await at.jobs() if not await has_inputs(at, job)]

    assert len(waiting) > 20
    assert seconds < 8
    assert 0 < in_flight[0] <= min(BYTES_IN_FLIGHT, 2 * 12 * 1024 * 1024)


async def test_downloads_begin_in_turns_also_after_a_restart(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "CHECK_TIMEOUT", 0.02)  # the first bytes do not arrive
    members = [at.ada, at.ben, *(at.discord.add_user(f"Member {number}") for number in range(4))]
    held = at.discord.faults.add("GET", CDN, HoldBefore(), times=None)
    async with at.easel():
        for member in members:
            for number in range(3):
                await at.edit(upload(f"{number}", 20_000), by=member)
    held.remove()
    held = at.discord.faults.add("GET", CDN, HoldBefore(), times=None)
    async with at.easel() as app:
        limit = app.services.downloader.in_flight
        async with asyncio.timeout(20):
            while limit.used < 4 * inputs.MAX_BYTES:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # none follows
        assert limit.used == 4 * inputs.MAX_BYTES


@pytest.mark.long
async def test_edits_that_are_canceled_leave_the_disk_within_keep_gb(at: Stage) -> None:
    """All slots at the service are taken, so that inputs are stored before the cancel."""
    async with at.easel(keep_gb="0.05"):
        held = at.skills.faults.add("POST", ".*", HoldBefore(), times=None)
        for number in range(4):
            by = (
                at.discord.add_user("Cleo") if number == 3 else at.ada
            )  # one member has three slots
            await at.imagine(f"a fox {number}", by=by, model="skills")
        await held.reached(hits=4)
        with peak(lambda: stored(at)) as disk:
            for number in range(10):
                files = [upload(f"{number}-{each}", 9_900_000) for each in range(4)]
                await at.edit(*files, by=at.ben, model="skills")
                (job, *_) = await at.jobs(at.ben)
                if number % 2:
                    async with asyncio.timeout(20):
                        while not await has_inputs(at, job):
                            await asyncio.sleep(0.02)
                await at.command("cancel", by=at.ben, job=job.id)
        assert {each.status for each in await at.jobs(at.ben)} == {JobStatus.CANCELED}
        async with asyncio.timeout(20):
            while stored(at):
                await asyncio.sleep(0.1)
        held.remove()

    assert 30 * MB < disk[0] <= 55 * MB


async def test_inputs_are_refused_when_needed_pictures_fill_the_space(at: Stage) -> None:
    async with at.easel(keep_gb="0.00001"):
        await at.edit(upload("cat", 20_000))
        await at.said("`cat.png` cannot be stored, because the bot has no space left for pictures")
        (job,) = await at.settled()
        assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
        assert await at.balance() == 0
        await at.imagine("a fox")  # a result is paid for
        await at.result("a fox")

    assert stored(at) > 10_000


async def test_under_1_gib_of_free_disk_inputs_are_refused(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MIN_FREE", 10**18)
    async with at.easel():
        refused = await at.edit(upload("cat", 20_000))
        await at.imagine("a fox")
        await at.result("a fox")

    assert "`cat.png` cannot be stored" in text_of(refused)
    assert len(await at.jobs()) == 1


async def test_the_least_recently_used_picture_goes_when_a_new_one_is_stored(at: Stage) -> None:
    async with at.easel():
        for number in range(3):
            await at.imagine(f"a fox {number}")
            await at.settled(number + 1)
    files = sorted((at.folder / "pictures").glob("??/*.png"), key=lambda each: each.stat().st_mtime)
    sizes = [file.stat().st_size for file in files]
    async with at.easel(keep_gb=f"{(sum(sizes) + sizes[0] // 2) / 10**9:.9f}"):
        await at.imagine("a fox 4")
        await at.settled(4)

    assert [file.exists() for file in files] == [False, True, True]
    assert stored(at) <= sum(sizes) + sizes[0] // 2


async def test_the_inputs_of_a_failed_job_go_and_those_of_others_stay(at: Stage) -> None:
    cat, dog = upload("cat", 20_000), upload("dog", 30_000)
    async with at.easel() as app:
        await at.edit(cat)
        (done,) = await at.settled()
        at.oxen.fail_next(times=2)
        await at.edit(cat, prompt="again")
        await at.edit(dog)
        failed, *_ = await at.settled(3)
        await app.services.retention.remove_uncharged()
        sizes = {path.stat().st_size for path in (at.folder / "pictures").glob("??/*")}

    assert (done.status, failed.status) == (JobStatus.SUCCEEDED, JobStatus.FAILED)
    assert 20_000 in sizes
    assert 30_000 not in sizes


def test_400_mb_of_inputs_a_day_and_no_more() -> None:
    check_input_bytes(INPUT_BYTES - 10, 10, frees_at=NOW)
    check_input_bytes(INPUT_BYTES - 1, 0, frees_at=NOW)
    with pytest.raises(TooManyInputBytes):
        check_input_bytes(INPUT_BYTES, 0, frees_at=NOW)
    with pytest.raises(TooManyInputBytes) as refused:
        check_input_bytes(INPUT_BYTES - 10 * MB, 11 * MB, frees_at=NOW)

    assert str(refused.value) == (
        "These pictures have 11 MB. You have attached 390 MB in the last 24 hours, and 400 MB are "
        "possible. Attach smaller copies, or wait: the first of your pictures no longer counts "
        f"<t:{math.ceil(NOW.timestamp())}:R>."
    )


async def test_inputs_of_canceled_jobs_count_for_a_day(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "INPUT_BYTES", 50_000)
    at.oxen.manual = True
    async with at.easel():
        await at.edit(upload("one", 20_000), upload("two", 20_000), model="skills")
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        refused = await at.edit(upload("three", 20_000))
        fits = await at.edit(upload("four", 10_000))
        assert fits.message is not None
        assert "Queued" in fits.message.text() or "Drawing" in fits.message.text()
        other = await at.edit(upload("five", 20_000), by=at.ben)
        assert other.message is not None
        assert other.message.ephemeral_to is None
        at.clock.move(hours=24, minutes=1)
        await at.edit(upload("six", 30_000), prompt="a day later")
        found = await at.jobs()

    until = math.ceil((job.created_at + timedelta(hours=24)).timestamp())
    assert f"no longer counts <t:{until}:R>" in text_of(refused)
    assert "a day later" in {each.request.prompt for each in found}
    assert len(found) == 3


async def test_a_picture_without_a_reported_size_counts_when_it_is_stored(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        items = [{"media": {"url": result.pictures()[0]}}]
        body = {"flags": 1 << 15, "components": [{"type": 12, "items": items}]}
        shared = await at.discord.say(at.ben, at.channel, body=body)
        opened = await at.discord.menu(at.ben, at.channel, "Edit image", shared)
        await opened.answered()
        assert opened.modal is not None
        field = opened.modal["components"][0]["component"]["custom_id"]
        sent = await at.discord.submit_modal(at.ben, opened, {field: "at night"})
        await sent.answered()
        await at.result("at night")
        (job,) = await at.jobs(at.ben)
    async with at.database() as database, database.reading() as view:
        used, first = await members.input_bytes_since(
            view, at.ben.id, job.created_at - timedelta(1)
        )
        none = await members.input_bytes_since(view, at.ben.id, job.created_at)

    assert job.inputs[0].size is None
    assert used > 1000
    assert first == job.created_at
    assert none == (0, None)


async def test_a_job_that_is_canceled_while_it_waits_for_its_turn_is_shown_at_once(
    at: Stage,
) -> None:
    async with at.easel():
        held = at.discord.faults.add("GET", CDN, HoldBefore(), times=None)
        await at.edit(upload("one", 20_000), by=at.ben)
        await held.reached(hits=2)  # the check of the command, and the download
        waits = await at.edit(upload("two", 20_000), by=at.ben, prompt="a second")
        (job, _) = await at.jobs(at.ben)
        await at.command("cancel", by=at.ben, job=job.id)
        assert waits.message is not None
        async with asyncio.timeout(20):
            while "Canceled" not in waits.message.text():
                await asyncio.sleep(0.02)
        assert held.hits == 3  # the check of the command: nothing was downloaded
        held.remove()
        await at.result("make it blue")
