"""KEEP_PROMPTS_DAYS: the words of old requests are removed, and nothing else."""

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

import pytest
from sqlalchemy.dialects import sqlite

from bot.errors import Reason
from bot.jobs import Attachment, Job, JobStatus, Picture, PictureKind
from bot.services import Policies
from bot.store import generations, history, jobs, ledger, prompts, settlement
from bot.store.audit import verify
from bot.store.database import Database, Transaction
from bot.store.history import Wanted
from bot.worker import old_prompts
from bot.worker.old_prompts import OldPrompts
from tests.support.clock import Moment
from tests.support.rows import NOW, add, new_job
from tests.support.services import services_on

DAY = timedelta(days=1)
INPUT = Attachment("my cat.png", "https://cdn/cat.png?sig", size=9, width=3, height=3)
MADE = [Picture("e" * 64, PictureKind.PNG, 9, 1, 1)]


@pytest.fixture
def clock() -> Moment:
    return Moment()


def keeping(database: Database, folder: Path, clock: Moment, days: int | None = 10) -> OldPrompts:
    services = services_on(database, folder, clock)
    return OldPrompts(replace(services, policies=Policies(keep_prompts_days=days)))


async def requested(tx: Transaction, at: datetime) -> Job:
    new = new_job(at=at, negative_prompt="my rain", seed=7)
    return await add(tx, replace(new, inputs=(INPUT,)))


async def failed(database: Database, at: datetime, *, delivered_at: datetime | None = None) -> Job:
    """Return a job whose request was refused at once."""
    async with database.transaction() as tx:
        job = await requested(tx, at)
        remark = "“a fox” is not drawn."
        await settlement.fail(tx, job.id, at, reason=Reason.REJECTED, remark=remark)
        return await delivered(tx, job, delivered_at or at)


async def drawn(database: Database, at: datetime) -> Job:
    async with database.transaction() as tx:
        job = await requested(tx, at)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at)
        job = await jobs.start_running(tx, job.id, at)
        (made,) = await generations.add(tx, job.id, "oxen", [job.id])
        ends = {made.id: JobStatus.SUCCEEDED}
        await settlement.succeed(
            tx, job, at, cost=None, pictures=MADE, ends=ends, expanded_prompt="a red fox"
        )
        return await delivered(tx, job, at)


async def delivered(tx: Transaction, job: Job, at: datetime) -> Job:
    await jobs.mark_delivered(tx, job.id, at, message_id=1, channel_id=20, error=None)
    stored = await jobs.get(tx, job.id)
    assert stored is not None
    return stored


async def stored(database: Database, job: Job) -> Job:
    async with database.reading() as view:
        found = await jobs.get(view, job.id)
    assert found is not None
    return found


async def has_words(database: Database, job: Job) -> bool:
    found = await stored(database, job)
    texts = (*found.texts, found.remark or "", *(each.name for each in found.inputs))
    return any(texts)


async def test_the_words_of_old_requests_are_removed_and_all_else_stays(
    database: Database, tmp_path: Path, clock: Moment
) -> None:
    old = [await drawn(database, NOW - 11 * DAY), await failed(database, NOW - 10.01 * DAY)]
    new = await drawn(database, NOW - 9.99 * DAY)
    async with database.reading() as view:
        before = [await ledger.entries_of(view, each.id) for each in old]

    assert await keeping(database, tmp_path, clock).remove() == 2

    for each in old:
        found = await stored(database, each)
        assert found.prompt_removed
        request = replace(each.request, prompt="", options={"seed": 7}, inputs=("",))
        inputs = (replace(INPUT, name="", url=""),)
        assert found == replace(
            each, request=request, inputs=inputs, expanded_prompt=None, remark=None
        )
    assert await stored(database, new) == new
    async with database.reading() as view:
        assert [await ledger.entries_of(view, each.id) for each in old] == before
        assert (await verify(view)).findings == ()
        found_by_text = await history.older(view, 1, Wanted(text="fox"), None, 10)
        everything = await history.older(view, 1, Wanted(), None, 10)
    assert [each.id for each in found_by_text] == [new.id]
    assert len(everything) == 3


async def test_the_words_of_unfinished_jobs_stay(
    database: Database, tmp_path: Path, clock: Moment
) -> None:
    async with database.transaction() as tx:
        queued = await requested(tx, NOW - 20 * DAY)
        undelivered = await requested(tx, NOW - 20 * DAY)
        await settlement.cancel(tx, undelivered.id, NOW - 19 * DAY)
    removing = keeping(database, tmp_path, clock)

    assert await removing.remove() == 0
    async with database.transaction() as tx:
        await settlement.cancel(tx, queued.id, NOW)
        await delivered(tx, queued, NOW)
        await delivered(tx, undelivered, NOW)
    clock.now += 3 * DAY
    assert await removing.remove() == 0  # delivered longer after the request than any other
    clock.now += 6 * DAY
    assert await removing.remove() == 2


@pytest.mark.parametrize("unknown", [True, False])
async def test_the_prompt_stays_while_pictures_may_still_arrive(
    database: Database, tmp_path: Path, clock: Moment, unknown: bool
) -> None:
    """The provider is searched by the prompt for the generations of an unknown outcome."""
    ended = NOW - timedelta(hours=24.9)
    async with database.transaction() as tx:
        job = await requested(tx, NOW - 1.5 * DAY)
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=ended)
        if unknown:
            await settlement.fail_unknown(tx, job, ended)
        else:
            await jobs.start_running(tx, job.id, ended)
            await generations.add(tx, job.id, "oxen", ["remote"])
            await settlement.fail(tx, job.id, ended, reason=Reason.TIMEOUT)
        await delivered(tx, job, ended)
    removing = keeping(database, tmp_path, clock, days=1)

    assert await removing.remove() == 0
    clock.now += timedelta(hours=0.2)
    assert await removing.remove() == 1


async def test_many_prompts_are_removed_in_slices(
    database: Database, tmp_path: Path, clock: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_prompts, "SLICE", 2)
    monkeypatch.setattr(old_prompts, "PAUSE", 0)
    at = NOW - 11 * DAY
    old = [await failed(database, at) for _ in range(3)]  # delivered at the same moment
    old += [await drawn(database, at + timedelta(minutes=number)) for number in range(3)]
    new = await failed(database, NOW)

    assert await keeping(database, tmp_path, clock).remove() == 6
    assert [await has_words(database, each) for each in [*old, new]] == [False] * 6 + [True]


async def test_a_later_round_goes_on_after_the_former_one(
    database: Database, tmp_path: Path, clock: Moment
) -> None:
    first = await failed(database, NOW - 11 * DAY)
    soon = await failed(database, NOW - 9.5 * DAY)
    slow = await failed(database, NOW - 9.5 * DAY, delivered_at=NOW - 8 * DAY)
    removing = keeping(database, tmp_path, clock)

    assert await removing.remove() == 1
    async with database.reading() as view:
        assert await prompts.removed_until(view) == NOW - 10 * DAY
    clock.now += DAY
    assert await keeping(database, tmp_path, clock).remove() == 2  # after a restart
    assert await removing.remove() == 0
    assert [await has_words(database, each) for each in (first, soon, slow)] == [False] * 3


async def test_another_time_applies_to_what_is_there(
    database: Database, tmp_path: Path, clock: Moment
) -> None:
    old = await failed(database, NOW - 11 * DAY)
    assert await keeping(database, tmp_path, clock, days=30).remove() == 0
    assert await keeping(database, tmp_path, clock, days=None).remove() == 0
    assert await has_words(database, old)
    assert await keeping(database, tmp_path, clock, days=10).remove() == 1
    assert await keeping(database, tmp_path, clock, days=30).remove() == 0


async def test_the_task_ends_at_once_without_a_limit(
    database: Database, tmp_path: Path, clock: Moment
) -> None:
    async with asyncio.timeout(20):
        await keeping(database, tmp_path, clock, days=None).run()


async def test_the_task_removes_again_and_again(
    database: Database, tmp_path: Path, clock: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_prompts, "RETRY", 0.01)
    monkeypatch.setattr(old_prompts, "INTERVAL", 0.01)
    task = asyncio.create_task(keeping(database, tmp_path, clock).run())
    try:
        async with asyncio.timeout(20):
            for _ in range(2):
                old = await failed(database, clock.now)
                clock.now += 11 * DAY
                while await has_words(database, old):
                    await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_old_prompts_are_a_range_of_the_index(empty_file: Path) -> None:
    values = {"of_status": JobStatus.FAILED, "limit": 100} | dict.fromkeys(
        ("delivered_since", "delivered_before", "created_before", "settled_before"),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    statement = prompts.OLD.params(values)
    compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with closing(connect(empty_file)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}")]

    index = "ix_jobs_status_delivered_at (status=? AND delivered_at>? AND delivered_at<?)"
    assert plan == [f"SEARCH jobs USING INDEX {index}"]
