"""Reports of a server, compared with sums that are made by hand, on both databases."""

import re
from dataclasses import replace
from datetime import timedelta

from bot.errors import Reason
from bot.jobs import Job, JobStatus, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind, LedgerEntry
from bot.periods import Period
from bot.store import jobs, ledger, reports, settlement
from bot.store.balances import used_in_server
from bot.store.database import Database, Transaction
from bot.store.reports import (
    BESIDE_BY_MEMBER,
    BESIDE_BY_MODEL,
    COSTS_BY_MEMBER,
    COSTS_BY_MODEL,
    LINES,
    REFUND,
    HeldPrice,
    Sums,
)
from tests.support.rows import NOW, add, new_job

DAY = timedelta(days=1)
TODAY = Period(NOW - DAY / 2, NOW + DAY / 2)
MADE = [Picture("e" * 64, PictureKind.PNG, 9, 1, 1)]


async def charge(tx: Transaction, job: Job, cost: int) -> Job:
    await jobs.move(tx, job.id, JobStatus.SUBMITTING)
    await jobs.start_running(tx, job.id, NOW)
    return await settlement.succeed(tx, job, NOW, cost=Cost(cost), pictures=MADE, ends={})


async def give(tx: Transaction, user_id: int, amount: int, job: Job | None = None) -> None:
    reason = "" if job is None else REFUND
    account = Account(user_id, 10)
    entry = LedgerEntry(
        account,
        EntryKind.GRANT,
        amount,
        NOW,
        NOW,
        job.id if job else None,
        granted=amount,
        reason=reason,
    )
    await ledger.append(tx, entry)


async def fill(database: Database) -> list[Job]:
    """Store jobs of two members: charged, lost, held, of another day, and of another server."""
    async with database.transaction() as tx:
        charged = await charge(tx, await add(tx, new_job(1)), 9000)
        failed = await add(tx, new_job(1))
        lost = {"remote": Cost(4000, {"estimated": "yes"})}
        failed = await settlement.fail(tx, failed.id, NOW, reason=Reason.TIMEOUT, losses=lost)
        held = await add(tx, new_job(2))
        before = await charge(tx, await add(tx, new_job(1, at=TODAY.begin - DAY / 24)), 1000)
        await charge(tx, await add(tx, new_job(1, at=TODAY.end)), 2000)
        await charge(tx, await add(tx, new_job(3, server_id=11)), 3000)
        await give(tx, 2, 5000)
        await give(tx, 1, 9000, charged)
    return [charged, failed, held, before]


async def test_sums_of_members_models_and_holds_are_those_of_the_period(
    database: Database,
) -> None:
    _, _, held, _ = await fill(database)
    async with database.reading() as view:
        members = dict(await reports.by_member(view, 10, TODAY))
        models = dict(await reports.by_model(view, 10, TODAY))
        holds = await reports.held(view, 10, TODAY)

    assert members == {
        0: Sums(lost=4000),
        1: Sums(used=9000, granted=9000),
        2: Sums(granted=5000),
    }
    assert models == {"oxen": Sums(used=9000, lost=4000, granted=9000), None: Sums(granted=5000)}
    assert holds == [HeldPrice(2, "oxen", held.price, held.created_at)]


async def test_an_adjustment_of_a_job_is_in_its_cost_and_any_other_is_counted_besides(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        job = await charge(tx, await add(tx, new_job(1)), 9000)
        await jobs.change(tx, job.id, estimated=True)
        await settlement.correct_cost(tx, job.id, Cost(7000), NOW)
        entry = LedgerEntry(Account(1, 10), EntryKind.ADJUSTMENT, -500, NOW, NOW, reason="a fee")
        await ledger.append(tx, entry)
    async with database.reading() as view:
        assert await reports.by_member(view, 10, TODAY) == {1: Sums(used=7500)}
        models = await reports.by_model(view, 10, TODAY)

    assert models == {"oxen": Sums(used=7000), None: Sums(used=500)}


async def test_lines_are_jobs_and_grants_newest_first_in_pages(database: Database) -> None:
    charged, failed, held, _ = await fill(database)
    async with database.transaction() as tx:
        for number in range(12):  # with the same time as those before
            await give(tx, 4, 100 + number)
    size, reports.PAGE = reports.PAGE, 3
    try:
        async with database.reading() as view:
            found = [each async for each in reports.lines(view, 10, TODAY, 100)]
            cut = [each async for each in reports.lines(view, 10, TODAY, 7)]
    finally:
        reports.PAGE = size

    assert [each.sums.granted for each in found[:12]] == [*range(111, 99, -1)]
    assert [(each.job_id, each.sums, each.reason) for each in found[12:]] == [
        (charged.id, Sums(granted=9000), REFUND),
        (None, Sums(granted=5000), ""),
        (held.id, Sums(held=held.price), ""),
        (failed.id, Sums(lost=4000), ""),
        (charged.id, Sums(used=9000), ""),
    ]
    assert cut == found[:7]


async def test_private_and_hidden_jobs_are_named_as_such(database: Database) -> None:
    new = new_job(1)
    async with database.transaction() as tx:
        shown, hidden = await add(tx, new_job(1)), await add(tx, new_job(1))
        private = await add(tx, replace(new, route=replace(new.route, private=True)))
        await jobs.change(tx, hidden.id, hidden_at=NOW)
    async with database.reading() as view:
        found = [each async for each in reports.lines(view, 10, TODAY, 100)]

    assert {each.job_id: each.private for each in found} == {
        shown.id: False,
        hidden.id: True,
        private.id: True,
    }


async def test_lines_name_the_model_and_the_status_of_a_job_and_none_of_a_grant(
    database: Database,
) -> None:
    charged, failed, held, _ = await fill(database)
    async with database.reading() as view:
        found = [each async for each in reports.lines(view, 10, TODAY, 100)]
        assert [each async for each in reports.lines(view, 10, TODAY, 0)] == []
        assert len([each async for each in reports.lines(view, 10, TODAY, 1)]) == 1

    assert [(each.job_id, each.user_id, each.model, each.status) for each in found] == [
        (charged.id, 1, None, None),
        (None, 2, None, None),
        (held.id, 2, "oxen", JobStatus.QUEUED),
        (failed.id, 1, "oxen", JobStatus.FAILED),
        (charged.id, 1, "oxen", JobStatus.SUCCEEDED),
    ]
    assert {each.at for each in found} == {NOW}


async def test_lines_begin_with_the_first_moment_and_end_before_the_last(
    database: Database,
) -> None:
    moment = timedelta(microseconds=1)
    async with database.transaction() as tx:
        for at in (TODAY.begin - moment, TODAY.begin, TODAY.end - moment, TODAY.end):
            await add(tx, new_job(1, at=at))
    async with database.reading() as view:
        found = [each.at async for each in reports.lines(view, 10, TODAY, 100)]

    assert found == [TODAY.end - moment, TODAY.begin]


def test_sums_are_added_each_for_itself() -> None:
    assert Sums(1, 2, 3, 4) + Sums(10, 20, 30, 40) == Sums(11, 22, 33, 44)


async def test_jobs_that_can_be_refunded(database: Database) -> None:
    charged, _, _, before = await fill(database)
    async with database.reading() as view:
        found = await reports.charged(view, 10, 10)
        refunded = [await reports.is_refunded(view, each.id) for each in (charged, before)]
        of_member = await reports.jobs_of(view, 10, 1, 1)

    assert [each.cost for each in found] == [2000, 1000]
    assert refunded == [True, False]
    assert [each.cost for each in of_member] == [2000]


async def test_a_budget_has_what_is_used_held_and_lost(database: Database) -> None:
    _, _, held, _ = await fill(database)
    async with database.reading() as view:
        used = await used_in_server(view, 10, TODAY, NOW)

    assert used == 9000 + 4000 + held.price


async def test_a_report_reads_its_period_by_the_indexes(database: Database) -> None:
    """A report does not read the entries of other servers, nor of other times."""
    indexes = {
        COSTS_BY_MEMBER: "COVERING INDEX ix_jobs_account_server_id_created_at",
        COSTS_BY_MODEL: "COVERING INDEX ix_jobs_account_server_id_created_at",
        BESIDE_BY_MEMBER: "COVERING INDEX ix_ledger_beside_costs",
        BESIDE_BY_MODEL: "COVERING INDEX ix_ledger_beside_costs",
        LINES.limit(1): "INDEX ix_ledger_server_id_counted_at",
    }
    values = {"server": 10, **TODAY._asdict(), "last_at": NOW, "last_id": 0}
    async with database.reading() as view:
        if view.dialect.name != "sqlite":
            return  # whose planner prefers a scan for so few rows
        for statement, index in indexes.items():
            text = statement.params(
                {name: value for name, value in values.items() if name in statement.compile().binds}
            ).compile(dialect=view.dialect, compile_kwargs={"literal_binds": True})
            plan = await view.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
            assert re.search(rf"{index} \(\w+=\? AND \w+>", str(plan.all()))
