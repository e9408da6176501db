"""Whoever deletes their data and comes back: what was used counts on, under both ids."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.errors import Reason, UserError
from bot.jobs import Attachment, Job, JobStatus
from bot.ledger import AmountText
from bot.periods import Period
from bot.quotas import (
    MAX_LOSSES,
    CooldownLasts,
    Member,
    NotEnoughCredits,
    Quotas,
    TooManyJobs,
    TooManyJobsHere,
    TooManyLosses,
)
from bot.rights import Allowance, Policy, Rights, Subject
from bot.store import generations, jobs, ledger, members, reports, servers, settlement, usage
from bot.store.backends import open_database
from bot.store.balances import COUNTS, Level, figures
from bot.store.database import Database, Transaction
from bot.store.servers import Granted
from bot.store.sqlite import SQLiteDatabase
from bot.store.usage import ModelUse
from tests.store.test_holds import ACCOUNT, allowance, grant, grants_left, held
from tests.store.test_ledger import lost
from tests.store.test_usage import LONG, by_day, paid
from tests.support.pseudonyms import KEY, pseudonymise
from tests.support.rows import NOW, new_job, one

ADA = Member(1, server_id=10)
OWN = Rights(pictures=4, jobs=2)


async def left(database: Database, policy: Policy | None, quotas: Quotas) -> object:
    """Return the credits that a refusal names as left."""
    with pytest.raises(NotEnoughCredits) as caught:
        await held(database, policy, quotas)
    return caught.value.values["left"]


@pytest.mark.parametrize(
    ("policy", "quotas"), [(allowance(10_000), Quotas()), (None, Quotas(allowance=10_000))]
)
async def test_an_allowance_and_a_month_count_on(
    database: Database, policy: Policy | None, quotas: Quotas
) -> None:
    await held(database, policy, quotas)
    await pseudonymise(database)

    assert await left(database, policy, quotas) == AmountText(2_500)
    await held(database, policy, quotas, price=2_500)
    assert await left(database, policy, quotas) == AmountText(0)
    await held(database, policy, quotas, user_id=2)


async def test_grants_are_used_under_both_ids(database: Database) -> None:
    await grant(database, 10_000)
    await held(database, allowance(0))
    await pseudonymise(database)

    assert await grants_left(database) == 2_500
    assert await left(database, allowance(0), Quotas()) == AmountText(2_500)
    await grant(database, 5_000)
    job = (await held(database, allowance(0))).job
    assert (job.granted, await grants_left(database)) == (7_500, 0)


async def test_strikes_count_on(database: Database) -> None:
    await lost(database, MAX_LOSSES - 1)
    await pseudonymise(database)
    await held(database)
    await lost(database, 1)

    with pytest.raises(TooManyLosses):
        await held(database)
    await held(database, user_id=2)


@pytest.mark.parametrize(
    ("rights", "quotas", "refusal"),
    [
        (Rights(cooldown=60), Quotas(), CooldownLasts),
        (Rights(jobs=1), Quotas(), TooManyJobsHere),
        (Rights(), Quotas(max_jobs=1), TooManyJobs),
    ],
)
async def test_the_cooldown_and_active_jobs_count_on(
    database: Database, rights: Rights, quotas: Quotas, refusal: type[UserError]
) -> None:
    policy, soon = Policy(rights=rights), NOW + timedelta(seconds=59)
    await held(database, policy, quotas)
    await pseudonymise(database)

    with pytest.raises(refusal):
        await held(database, policy, quotas, at=soon)
    await held(database, policy, quotas, at=soon, user_id=2)


async def test_the_newest_request_of_both_ids_begins_the_cooldown(database: Database) -> None:
    policy = Policy(rights=Rights(cooldown=60))
    await held(database, policy)
    await pseudonymise(database)
    await held(database, policy, at=NOW + timedelta(seconds=60))

    with pytest.raises(CooldownLasts):
        await held(database, policy, at=NOW + timedelta(seconds=119))
    await held(database, policy, at=NOW + timedelta(seconds=120))


async def given_up(database: Database) -> Job:
    """Return a failed job that the provider may still charge."""
    job = await one(database)
    async with database.transaction() as tx:
        await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=NOW)
        await jobs.start_running(tx, job.id, NOW)
        await generations.add(tx, job.id, "oxen", ["remote"])
        return await settlement.fail(tx, job.id, NOW, reason=Reason.TIMEOUT)


async def test_what_is_reserved_counts_on(database: Database) -> None:
    await given_up(database)
    await pseudonymise(database)

    assert await left(database, allowance(10_000), Quotas()) == AmountText(2_500)
    async with database.reading() as view:
        month = await ledger.usage_of(view, 1, NOW, 10_000)
        others = await ledger.usage_of(view, 2, NOW, 10_000)
    assert (month.reserved, month.left) == (7_500, 2_500)
    assert others.left == 10_000


async def test_the_bytes_of_inputs_count_on(database: Database) -> None:
    inputs = (Attachment("a.png", "https://cdn/a", size=700),)
    since = NOW - timedelta(hours=1)
    await one(database, replace(new_job(), inputs=inputs))
    await pseudonymise(database)
    await one(database, replace(new_job(at=NOW + timedelta(minutes=1)), inputs=inputs))

    async with database.reading() as view:
        assert await members.input_bytes_since(view, 1, since) == (1_400, NOW)
        assert await members.input_bytes_since(view, 2, since) == (0, None)


async def test_usage_and_receipts_are_of_both_ids(database: Database) -> None:
    await paid(database, 9_000)
    await pseudonymise(database)
    job = await paid(database, 1_000)

    month = Allowance(amount=20_000)
    async with database.reading() as view:
        here = await ledger.account_usage(view, ACCOUNT, month, (), NOW)
        models = await usage.by_model(view, 1, 10, LONG)
        rest = await usage.left_after(view, replace(job, allowance=month), Quotas(), NOW)
    assert (here.used, here.left, here.jobs, here.pictures) == (10_000, 10_000, 2, 2)
    assert models == [ModelUse("oxen", 2, 2, 10_000)]
    assert [amount for _, amount in await by_day(database, "UTC", NOW, 1)] == [10_000]
    assert rest == 10_000


async def test_without_a_key_only_the_own_id_counts(database: Database) -> None:
    await grant(database, 10_000)
    await held(database, allowance(10_000))
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", OWN)
    await pseudonymise(database)
    database.use_pseudonyms(None)

    assert await grants_left(database) == 0
    await held(database, allowance(10_000))
    async with database.transaction() as tx:
        assert (await servers.policy_of(tx, ADA)).rights == Rights()
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", Rights(jobs=9))
        assert (await servers.policy_of(tx, ADA)).rights == Rights(jobs=9)
        assert len(await servers.all_rights(tx, 10, 100)) == 2


async def test_a_changed_key_finds_no_rows(database: Database) -> None:
    await held(database, allowance(10_000))
    await pseudonymise(database)
    database.use_pseudonyms(replace(KEY, key=SecretStr("another key, which is as long as that")))

    await held(database, allowance(10_000))


async def test_lists_of_a_members_jobs_are_of_the_own_id(database: Database) -> None:
    await paid(database, 9_000)
    await one(database)
    await pseudonymise(database)

    async with database.reading() as view:
        assert await members.active_of(view, 1, 10) == []
        assert await members.ended_of(view, 1, 10) == []


async def test_managers_find_the_sums_of_both_ids_and_the_jobs_of_one(database: Database) -> None:
    await one(database)
    await pseudonymise(database)
    new = await one(database, new_job(at=NOW + timedelta(minutes=1)))
    await one(database, new_job(user_id=2))

    async with database.reading() as view:
        found = await reports.jobs_of(view, 10, 1, 10)
        sums = await reports.held(view, 10, Period(NOW, NOW + timedelta(hours=1)))
    assert [each.id for each in found] == [new.id]  # the other's id would tell whose it was
    assert sorted(each.user_id for each in sums) == sorted([KEY.of(1), 1, 2])


# Rights


async def test_the_rights_of_a_member_stay(database: Database) -> None:
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", OWN)
        await servers.store_rights(tx, 10, Subject.MEMBER, "2", Rights(jobs=9))
    pseudonym = await pseudonymise(database)

    async with database.reading() as view:
        assert await servers.rights_of(view, 10, Subject.MEMBER, "1") == OWN
        assert (await servers.policy_of(view, ADA)).rights == OWN
        assert await servers.granted_to(view, ADA) == [Granted(Subject.MEMBER, str(pseudonym), OWN)]
        assert (await servers.policy_of(view, Member(3, 10))).rights == Rights()


async def test_new_rights_replace_those_under_the_pseudonym(database: Database) -> None:
    changed = Rights(pictures=2)
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", OWN)
        await servers.store_rights(tx, 11, Subject.MEMBER, "1", OWN)
    await pseudonymise(database)
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", changed)
        stored = await servers.all_rights(tx, 10, 100)
        await servers.store_rights(tx, 11, Subject.MEMBER, "1", Rights())
        removed = await servers.all_rights(tx, 11, 100)

    assert stored == [Granted(Subject.MEMBER, "1", changed)]
    assert removed == []


async def test_the_own_rights_come_first(database: Database) -> None:
    """After a start without the key, a manager may have set rights under the own id."""
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", Rights(jobs=9, edit=False))
    await pseudonymise(database)
    database.use_pseudonyms(None)
    async with database.transaction() as tx:
        await servers.store_rights(tx, 10, Subject.MEMBER, "1", OWN)
    database.use_pseudonyms(KEY)

    async with database.reading() as view:
        assert await servers.rights_of(view, 10, Subject.MEMBER, "1") == OWN
        assert (await servers.policy_of(view, ADA)).rights == OWN
        assert await servers.granted_to(view, ADA) == [Granted(Subject.MEMBER, "1", OWN)]


# Plans

VALUES: Mapping[str, Any] = {
    **{"user": 1, "pseudonym": -1, "server": 10, "provider": "oxen", "job": "a"},
    **{"losses_since": NOW, "reserved_since": NOW},
    **{f"{level}_begin": NOW - timedelta(days=7) for level in Level},
    **{f"{level}_end": NOW for level in Level},
    **{f"{level}_scope": "bot" for level in Level},
}
OF_PERIOD = (
    "COVERING INDEX ix_ledger_user_id_counted_at (user_id=? AND counted_at>? AND counted_at<?)"
)
PLANS: Mapping[str, tuple[str, ...]] = {
    Level.MEMBER: (f"SEARCH ledger USING {OF_PERIOD}",),
    Level.MONTH: (f"SEARCH ledger USING {OF_PERIOD}",),
    Level.GRANTS: ("SEARCH ledger USING COVERING INDEX ix_ledger_granted (user_id=?",),
    "active": ("SEARCH jobs USING COVERING INDEX ix_jobs_user_id_status (user_id=? AND status=?)",),
    "active_here": ("SEARCH jobs USING INDEX ix_jobs_user_id_status (user_id=? AND status=?)",),
    "last_at": ("SEARCH jobs USING INDEX ix_jobs_user_id_created_at (user_id=?)",) * 2,
}


# Entries of many members within the period: with fewer, PostgreSQL prefers any other way.
MANY_ENTRIES = (
    "INSERT INTO ledger "
    "(user_id, server_id, kind, amount, counted_at, reason, details, created_at) "
    "SELECT n % 500, 10, 'adjustment', 1, TIMESTAMPTZ '2026-11-15 12:00Z', n, '{}', now() "
    "FROM generate_series(1, 5000) AS n",
    "ANALYZE ledger",
    "SET LOCAL enable_bitmapscan = off",
)


async def planned(tx: Transaction, name: str) -> str:
    """Return the plan of a balance or a count."""
    levels = frozenset(Level(each) for each in {name} & {*Level})
    statement = figures(levels, frozenset({name} & {*COUNTS}))
    known = statement.compile().binds
    values = {key: value for key, value in VALUES.items() if key in known}
    compiled = statement.params(values).compile(
        dialect=tx.dialect, compile_kwargs={"literal_binds": True}
    )
    explain = "EXPLAIN QUERY PLAN" if tx.dialect.name == "sqlite" else "EXPLAIN"
    rows = (await tx.exec_driver_sql(f"{explain} {compiled}")).all()
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize("name", PLANS)
async def test_a_hold_reads_the_rows_of_both_ids_by_an_index(empty_file: Path, name: str) -> None:
    async with SQLiteDatabase(empty_file) as database, database.transaction() as tx:
        plan = await planned(tx, name)

    for step in set(PLANS[name]):
        assert plan.count(step) == PLANS[name].count(step), plan
    assert "SCAN jobs" not in plan
    assert "SCAN ledger" not in plan


@pytest.mark.parametrize("level", [Level.MEMBER, Level.MONTH])
async def test_postgresql_reads_the_entries_of_both_ids_by_the_index(
    postgres_url: str, level: Level
) -> None:
    async with open_database(postgres_url) as database, database.transaction() as tx:
        for each in MANY_ENTRIES:
            await tx.exec_driver_sql(each)
        plan = await planned(tx, level)

    condition = r"\(user_id = ANY \(.*\)\) AND \(counted_at >= .*\) AND \(counted_at < "
    assert re.search(
        rf"Index (Only )?Scan using ix_ledger_user_id_counted_at .*\n *Index Cond: \({condition}",
        plan,
    ), plan
