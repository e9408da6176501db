from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from bot.errors import Reason
from bot.jobs import Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Cost, EntryKind, balance
from bot.quotas import MAX_LOSSES, BudgetExhausted, Quotas, TooManyLosses
from bot.store import generations, holds, jobs, ledger, pictures, settlement
from bot.store.database import Database, Transaction
from bot.store.pictures import Role
from tests.support.rows import NOW, new_job, one

COST = Cost(9000, {"usd": "0.09"})
MADE = [Picture("e" * 64, PictureKind.PNG, 9, 1, 1)]


async def running(database: Database, new: NewJob | None = None) -> Job:
    """A job that has begun, with its hold."""
    job = await one(database, new)
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        return await jobs.start_running(tx, job.id, NOW)


async def succeed(tx: Transaction, job: Job, cost: Cost | None = COST) -> Job:
    return await settlement.succeed(tx, job, NOW, cost=cost, pictures=MADE, ends={})


async def test_a_paid_job_adds_up_to_minus_its_cost_also_above_the_price(
    database: Database,
) -> None:
    job = await running(database)
    async with database.transaction() as tx:
        await succeed(tx, job)
        entries = await ledger.entries_of(tx, job.id)

    assert [(entry.kind, entry.amount) for entry in entries] == [
        (EntryKind.HOLD, -7500),
        (EntryKind.RELEASE, 7500),
        (EntryKind.CAPTURE, -9000),
    ]
    assert balance(entries) == -COST.amount
    assert entries[-1].details == {"usd": "0.09"}


@pytest.mark.parametrize("outcome", ["fail", "cancel", "withdraw"])
async def test_a_job_without_a_picture_adds_up_to_nothing(database: Database, outcome: str) -> None:
    job = await one(database)
    async with database.transaction() as tx:
        if outcome == "fail":
            settled = await settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED)
        elif outcome == "cancel":
            settled = await settlement.cancel(tx, job.id, NOW)
        else:
            settled = await settlement.withdraw(tx, job.id, NOW)

        assert settled.status.settled
        assert (settled.delivered_at == NOW) is (outcome == "withdraw")
        assert balance(await ledger.entries_of(tx, job.id)) == 0


async def test_a_job_is_settled_once(database: Database) -> None:
    job = await running(database)
    async with database.transaction() as tx:
        await succeed(tx, job)

    again: list[Callable[[Transaction], Awaitable[Job]]] = [
        lambda tx: succeed(tx, job),
        lambda tx: settlement.fail(tx, job.id, NOW, reason=Reason.REJECTED),
        lambda tx: settlement.cancel(tx, job.id, NOW),
        lambda tx: settlement.withdraw(tx, job.id, NOW),
    ]
    for settle in again:
        with pytest.raises(jobs.MoveRefused):
            async with database.transaction() as tx:
                await settle(tx)


async def test_hold_release_and_capture_are_unique(database: Database) -> None:
    job = await running(database)
    async with database.transaction() as tx:
        await succeed(tx, job)
        entries = await ledger.entries_of(tx, job.id)

    for entry in entries:
        with pytest.raises(IntegrityError):
            async with database.transaction() as tx:
                await ledger.append(tx, entry)


async def test_an_estimate_is_corrected_once(database: Database) -> None:
    job = await running(database)
    async with database.transaction() as tx:
        assert (await succeed(tx, job, None)).cost == 7500
        await settlement.correct_cost(tx, job.id, COST, NOW)
        await settlement.correct_cost(tx, job.id, COST, NOW)
        corrected = await jobs.get(tx, job.id)
        entries = await ledger.entries_of(tx, job.id)

    assert corrected is not None
    assert (corrected.cost, corrected.estimated) == (9000, False)
    assert [entry.amount for entry in entries if entry.kind is EntryKind.ADJUSTMENT] == [-1500]
    assert balance(entries) == -9000


async def test_overdue_ends_are_charged_once_each(database: Database) -> None:
    job = await running(database)
    async with database.transaction() as tx:
        made = await generations.add(tx, job.id, "oxen", ["a", "b"])
        failed = await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT)
        for each in made:
            await settlement.charge_overdue(
                tx, failed, NOW, cost=COST, pictures=MADE, generations=[each]
            )
        charged = await jobs.get(tx, job.id)
        stored = await pictures.of_job(tx, job.id, Role.OUTPUT)
        entries = await ledger.entries_of(tx, job.id)

    assert charged is not None
    assert (charged.cost, charged.overdue_at, charged.delivered_at) == (18_000, NOW, None)
    assert len(stored) == 2
    assert balance(entries) == -18_000
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await settlement.charge_overdue(
                tx, failed, NOW, cost=COST, pictures=MADE, generations=made[:1]
            )


@pytest.mark.parametrize("statement", ["UPDATE ledger SET amount = 0", "DELETE FROM ledger"])
async def test_the_ledger_is_append_only(database: Database, statement: str) -> None:
    job = await one(database)

    with pytest.raises(IntegrityError, match="append-only"):
        async with database.transaction() as tx:
            await tx.exec_driver_sql(statement)

    async with database.reading() as view:
        assert balance(await ledger.entries_of(view, job.id)) == -7500


async def test_a_month_counts_jobs_pictures_and_credits_by_their_hold(database: Database) -> None:
    old = await one(database, new_job(at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC)))
    done = await one(database, new_job(server_id=0))
    await one(database)
    await one(database, new_job(user_id=2))
    kept = [Picture(letter * 64, PictureKind.PNG, 9, 1, 1) for letter in "abc"]
    async with database.transaction() as tx:
        await settlement.cancel(tx, old.id, NOW)
        await jobs.move(tx, done.id, JobStatus.SUBMITTING)
        await settlement.succeed(tx, done, NOW, cost=COST, pictures=kept, ends={})

    async with database.reading() as view:
        usage = await ledger.usage_of(view, 1, NOW, 100_000)
        october = await ledger.usage_of(view, 1, old.created_at, None)

    assert (usage.used, usage.held, usage.jobs, usage.pictures) == (9000, 7500, 2, 3)
    assert usage.left == 100_000 - 9000 - 7500
    assert usage.resets_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert (october.used, october.held, october.jobs, october.left) == (0, 0, 1, None)


async def test_the_same_bytes_are_one_picture_of_two_jobs(database: Database) -> None:
    picture = Picture("c" * 64, PictureKind.WEBP, 9, 4, 3)
    first, second = await one(database), await one(database)
    async with database.transaction() as tx:
        await pictures.attach(tx, first.id, Role.OUTPUT, [picture], NOW)
        await pictures.attach(tx, second.id, Role.OUTPUT, [picture, picture], NOW)

        assert await pictures.of_job(tx, first.id, Role.OUTPUT) == [picture]
        assert await pictures.of_job(tx, second.id, Role.OUTPUT) == [picture, picture]


async def lost(database: Database, number: int) -> list[Job]:
    """Return jobs of one member that failed with an unknown outcome within the hour."""
    found = []
    for _ in range(number):
        job = await one(database)
        async with database.transaction() as tx:
            await jobs.move(tx, job.id, JobStatus.SUBMITTING)
            found.append(await settlement.fail_unknown(tx, job, NOW))
    return found


@pytest.mark.parametrize("reversed_", [1, MAX_LOSSES])
async def test_losses_that_were_reversed_stop_nobody(database: Database, reversed_: int) -> None:
    failed = await lost(database, MAX_LOSSES)
    async with database.transaction() as tx:
        with pytest.raises(TooManyLosses):
            await holds.hold(tx, await jobs.add(tx, new_job()), Quotas())
    async with database.transaction() as tx:
        for number, job in enumerate(failed[:reversed_]):
            await settlement.find_unknown(tx, job, [f"remote {number}"], NOW)
        await holds.hold(tx, await jobs.add(tx, new_job()), Quotas())


async def test_a_loss_after_a_reversal_counts_again(database: Database) -> None:
    failed = await lost(database, MAX_LOSSES)
    async with database.transaction() as tx:
        await settlement.find_unknown(tx, failed[0], ["remote"], NOW)
        await settlement.lose(tx, failed[0], {"remote": COST}, NOW)
        with pytest.raises(TooManyLosses):
            await holds.hold(tx, await jobs.add(tx, new_job()), Quotas())


async def test_what_costs_nothing_is_held_also_where_less_than_nothing_is_left(
    database: Database,
) -> None:
    await one(database)
    quotas = Quotas(budget=0, allowance=0)
    async with database.transaction() as tx:
        held = await holds.hold(tx, await jobs.add(tx, new_job(price=0)), quotas)
        assert held.warnings == []
    async with database.transaction() as tx:
        with pytest.raises(BudgetExhausted, match="Ask the bot's operator"):
            await holds.hold(tx, await jobs.add(tx, new_job(price=1)), Quotas(budget=0))
