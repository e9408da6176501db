"""A database with a job for every outcome, and changes to the database by hand."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bot.config import Config
from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus, NewJob, Picture, PictureKind
from bot.ledger import Account, Charges, Cost, EntryKind, LedgerEntry
from bot.periods import PeriodKind, ZoneChange
from bot.quotas import Quotas
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.store import changes, generations, holds, jobs, ledger, servers, settlement
from bot.store.audit import Verification, verify
from bot.store.backends import inspected
from bot.store.database import Database, Transaction
from tests.support.rows import NOW, add, new_job

LATER = NOW + timedelta(minutes=1)
MUCH_LATER = NOW + timedelta(minutes=30)
OXEN_COST = Cost(7_750, {"usd": "0.0775"})

# Ids of jobs, in the order in which they are stored.
REPORTED, ESTIMATED, CORRECTED, PARTIAL = (letter * 16 for letter in "abcd")
REFUSED, EMPTY, OVERDUE, DOUBTFUL = (letter * 16 for letter in "efgh")
CANCELED, STOPPED, WITHDRAWN, SKILLS = (letter * 16 for letter in "ijkl")
QUEUED, MOVED, SUBMITTING, RUNNING = (letter * 16 for letter in "mnop")
GRANTED, SHARED = (letter * 16 for letter in "qr")

GIFTED = Account(4, 10)  # the account with grants


def picture(number: int) -> Picture:
    return Picture(f"{number:064x}", PictureKind.PNG, 9, 1, 1)


async def write_books(database: Database, *, grants: bool = True) -> None:
    """Store the jobs; without grants, those that versions before revision 0011 could store."""
    async with database, database.transaction() as tx:
        await _succeeded(tx)
        await _failed(tx)
        await _canceled(tx)
        await _moved(tx, SKILLS)
        await _active(tx)
        if grants:
            await _granted(tx)
            await _chosen(tx)


async def _running(
    tx: Transaction, job_id: str, remote_ids: Sequence[str], *, count: int = 1, price: int = 7_500
) -> tuple[Job, list[Generation]]:
    """Return a job that runs as these generations."""
    new = replace(new_job(price=price, count=count), id=job_id)
    await add(tx, new)
    await jobs.move(tx, job_id, JobStatus.SUBMITTING, submitted_at=NOW)
    running = await jobs.start_running(tx, job_id, NOW)
    return running, await generations.add(tx, job_id, "oxen", remote_ids)


async def _succeeded(tx: Transaction) -> None:
    for number, (job_id, cost) in enumerate(
        ((REPORTED, OXEN_COST), (ESTIMATED, None), (CORRECTED, None))
    ):
        job, (made,) = await _running(tx, job_id, [f"remote-{number}"])
        ends = {made.id: JobStatus.SUCCEEDED}
        await settlement.succeed(tx, job, LATER, cost=cost, pictures=[picture(number)], ends=ends)
    await settlement.correct_cost(tx, CORRECTED, OXEN_COST, MUCH_LATER)
    job, made_of = await _running(
        tx, PARTIAL, [f"partial-{number}" for number in range(4)], count=4, price=30_000
    )
    ends = {each.id: JobStatus.SUCCEEDED for each in made_of[:2]}
    ends[made_of[2].id] = JobStatus.FAILED
    pictures = [picture(1), picture(10)]
    await settlement.succeed(tx, job, LATER, cost=None, pictures=pictures, ends=ends)


async def _failed(tx: Transaction) -> None:
    await add(tx, replace(new_job(2), id=REFUSED))
    await settlement.fail(tx, REFUSED, LATER, reason=Reason.REJECTED)
    _, (made,) = await _running(tx, EMPTY, ["empty"])
    ends = {made.id: JobStatus.SUCCEEDED}
    await settlement.fail(tx, EMPTY, LATER, reason=Reason.NO_PICTURE, ends=ends)
    _, made_of = await _running(tx, OVERDUE, ["overdue-1", "overdue-2"], count=2, price=15_000)
    failed = await settlement.fail(tx, OVERDUE, LATER, reason=Reason.TIMEOUT)
    for number, (each, cost) in enumerate(zip(made_of, (OXEN_COST, None), strict=True), start=1):
        await settlement.charge_overdue(
            tx,
            failed,
            LATER + timedelta(minutes=number),
            cost=cost,
            pictures=[picture(20 + number)],
            generations=[each],
        )
    doubtful = await add(tx, replace(new_job(), id=DOUBTFUL))
    await jobs.move(tx, DOUBTFUL, JobStatus.SUBMITTING, submitted_at=NOW)
    await settlement.fail_unknown(tx, doubtful, LATER)


async def _canceled(tx: Transaction) -> None:
    await add(tx, replace(new_job(), id=CANCELED))
    await jobs.postpone_submit(tx, CANCELED, LATER, Reason.UNAVAILABLE)
    await settlement.cancel(tx, CANCELED, LATER)
    _, (made,) = await _running(tx, STOPPED, ["stopped"])
    await settlement.cancel(tx, STOPPED, LATER, ends={made.id: JobStatus.CANCELED})
    await add(tx, replace(new_job(), id=WITHDRAWN), message_id=None)
    await settlement.withdraw(tx, WITHDRAWN, LATER)


async def _moved(tx: Transaction, job_id: str) -> None:
    """Store a job that was handed over to skills.video, and has succeeded there."""
    moved = await _hand_over(tx, replace(new_job(), id=job_id, model_auto=True))
    await jobs.move(tx, job_id, JobStatus.SUBMITTING, submitted_at=NOW)
    await jobs.start_running(tx, job_id, NOW)
    (made,) = await generations.add(tx, job_id, "skills", ["video"])
    cost = Cost(23_000, {"total": "23", "subscription": "20", "permanent": "3"})
    ends = {made.id: JobStatus.SUCCEEDED}
    await settlement.succeed(tx, moved, LATER, cost=cost, pictures=[picture(30)], ends=ends)


async def _hand_over(tx: Transaction, new: NewJob) -> Job:
    job = await add(tx, new)
    moved = await jobs.hand_over(tx, job, model="skills", provider="skills", price=20_000)
    assert moved is not None
    await holds.hold_difference(tx, moved, job, LATER, Quotas())
    return moved


async def _active(tx: Transaction) -> None:
    await add(tx, replace(new_job(), id=QUEUED))
    await _hand_over(tx, replace(new_job(), id=MOVED, model_auto=True))
    await add(tx, replace(new_job(), id=SUBMITTING))
    await jobs.move(tx, SUBMITTING, JobStatus.SUBMITTING, submitted_at=NOW)
    await _running(tx, RUNNING, ["running"])


async def _granted(tx: Transaction) -> None:
    """Store a grant, jobs that grants pay in part, a refund, and a correction by the operator."""
    await ledger.append(tx, _given(EntryKind.GRANT, 20_000, NOW, reason="contest"))
    new = replace(new_job(4), id=GRANTED, allowance=Allowance(amount=5_000, period=PeriodKind.WEEK))
    await add(tx, new)  # grants pay 2.5
    await jobs.move(tx, GRANTED, JobStatus.SUBMITTING, submitted_at=NOW)
    job = await jobs.start_running(tx, GRANTED, NOW)
    (made,) = await generations.add(tx, GRANTED, "oxen", ["granted"])
    ends = {made.id: JobStatus.SUCCEEDED}
    await settlement.succeed(tx, job, LATER, cost=OXEN_COST, pictures=[picture(40)], ends=ends)
    refund = _given(EntryKind.GRANT, 3_000, MUCH_LATER, reason="refund")
    await ledger.append(tx, replace(refund, job_id=GRANTED))
    await ledger.append(tx, _given(EntryKind.ADJUSTMENT, -250, MUCH_LATER, reason="a mistake"))
    handed = await _hand_over(tx, replace(new, id=SHARED, model_auto=True))  # grants pay all of it
    await jobs.move(tx, SHARED, JobStatus.SUBMITTING, submitted_at=MUCH_LATER)
    await jobs.start_running(tx, SHARED, MUCH_LATER)
    (made,) = await generations.add(tx, SHARED, "skills", ["shared"])
    ends = {made.id: JobStatus.SUCCEEDED}
    handed = await jobs.get(tx, SHARED) or handed
    await settlement.succeed(tx, handed, MUCH_LATER, cost=None, pictures=[picture(41)], ends=ends)
    await settlement.correct_cost(tx, SHARED, Cost(18_000, {"total": "18"}), MUCH_LATER)


def _given(kind: EntryKind, amount: int, now: datetime, *, reason: str) -> LedgerEntry:
    granted = amount if kind is EntryKind.GRANT else 0
    return LedgerEntry(GIFTED, kind, amount, now, now, granted=granted, reason=reason)


async def _chosen(tx: Transaction) -> None:
    """Store the choices of a server's managers."""
    settings = ServerSettings(zones=(ZoneChange(NOW, "Asia/Tokyo"),), channels=frozenset({20}))
    await servers.store_settings(tx, 10, settings)
    await servers.store_rights(tx, 10, Subject.DEFAULT, "", Rights(tier="member"))
    await servers.store_rights(tx, 10, Subject.ROLE, "77", Rights(pictures=4))
    await servers.store_rights(tx, 10, Subject.TIER, "guest", Rights(jobs=1))
    for after in ("Europe/Berlin", "Asia/Tokyo"):
        await changes.append(tx, changes.Change(10, 9, NOW, "time zone", "UTC", after))


def change(path: Path, script: str) -> None:
    """Change the file by hand, as nothing in Easel could; the triggers are the same afterwards."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(query).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in script.split(";"):
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()


def alter(path: Path, statement: str) -> None:
    """Change the schema by hand."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(statement)
        connection.commit()


def charges(*rates: int) -> Charges:
    """Return the costs of the providers' figures, with the settings' defaults."""
    return Config.load(None, {}).charges([Decimal(rate) for rate in rates])


async def verified(path: Path, *rates: int) -> Verification:
    async with inspected(f"sqlite:///{path}") as database, database.reading() as view:
        return await verify(view, charges(*rates))


async def findings(path: Path) -> list[str]:
    return [str(each) for each in (await verified(path)).findings]


MADE_AT = "'2026-11-21 12:30:00.000000'"


def entry(job_id: str, kind: str, amount: int, **columns: str) -> str:
    """Return an INSERT of an entry like Easel's own."""
    values = {
        "job_id": f"'{job_id}'" if job_id else "NULL",
        "user_id": "1",
        "server_id": "10",
        "kind": f"'{kind}'",
        "amount": str(amount),
        "granted": str(amount if kind == "grant" else 0),
        "provider": "'oxen'" if job_id and kind != "grant" else "''",
        "counted_at": "'2026-11-21 12:00:00.000000'" if kind != "grant" and job_id else MADE_AT,
        "reason": "''",
        "details": "'{}'",
        "created_at": MADE_AT,
        **columns,
    }
    names, listed = ", ".join(values), ", ".join(values.values())
    return f"INSERT INTO ledger ({names}) VALUES ({listed})"  # noqa: S608  # of a test


def of(job_id: str, kind: str) -> str:
    return f"job_id = '{job_id}' AND kind = '{kind}'"
