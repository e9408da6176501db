"""Read the jobs page by page with all their rows, apply the rules, and add up the accounts."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Label, Row, Select, Table, bindparam, func, or_, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.ledger import Account, Charges, EntryKind, credits_text
from bot.store.audit.catalog import check_catalog
from bot.store.audit.choices import check_choices
from bot.store.audit.file import check_file
from bot.store.audit.grants import check_stray
from bot.store.audit.lines import (
    ENTRY_COLUMNS,
    GENERATION_COLUMNS,
    JOB_COLUMNS,
    OUTPUT_COLUMNS,
    EntryLine,
    Finding,
    Record,
    entry_line,
    generation_line,
    job_line,
)
from bot.store.audit.money import check_money
from bot.store.audit.outcome import check_outcome
from bot.store.audit.sums import check_sums
from bot.store.audit.words import account_name
from bot.store.dialects import is_postgresql
from bot.store.pictures import Role
from bot.store.tables import generations, job_pictures, jobs, ledger

PAGE = 1000  # jobs, or entries without a job, that are in memory at once


def _of_jobs(columns: Sequence[Label[Any]], table: Table) -> Select[Any]:
    between = table.c.job_id.between(bindparam("first"), bindparam("last"))
    return select(*columns).where(between)


ENTRIES = _of_jobs(ENTRY_COLUMNS, ledger).order_by(ledger.c.id)
GENERATIONS = _of_jobs(GENERATION_COLUMNS, generations).order_by(generations.c.id)
OUTPUTS = _of_jobs(OUTPUT_COLUMNS, job_pictures).where(job_pictures.c.role == Role.OUTPUT)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it is in the file, with its rows in the other tables."""

    job: Row[Any]
    entries: Sequence[Row[Any]]
    generations: Sequence[Row[Any]]
    outputs: Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class Verification:
    entries: int
    jobs: int
    accounts: int
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        found = len(self.findings)
        result = "it adds up" if not found else f"{found} finding{'s' if found > 1 else ''}"
        return f"{self.entries} entries, {self.jobs} jobs, {self.accounts} accounts: {result}"


class Audit:
    """The rules, applied to one job after the other; `findings` and `accounts` are the result."""

    def __init__(self, charges: Charges | None = None) -> None:
        self.findings: list[Finding] = []
        self._charges = charges
        self._balances: Counter[Account] = Counter()
        self._expected: Counter[Account] = Counter()

    def check(self, record: Record) -> None:
        texts = dict.fromkeys([*check_outcome(record), *check_money(record, self._charges)])
        self.findings += (Finding(f"job {record.job.id}", text) for text in texts)
        self._expected[record.job.account] += record.job.expected
        for entry in record.entries:
            self._balances[entry.account] += entry.amount
            if entry.kind in (EntryKind.LOSS, EntryKind.GRANT):
                self._expected[entry.account] += entry.amount

    def check_row(self, row: JobRow) -> None:
        """Check a job with its rows; a row that cannot be read is a finding."""
        entries = [entry for each in row.entries if (entry := self._entry(each)) is not None]
        job = job_line(row.job)
        if job is None:
            self.findings.append(Finding(f"job {row.job.id}", "cannot be read"))
            return
        made = [generation_line(each) for each in row.generations]
        outputs = [each.position for each in row.outputs if isinstance(each.position, int)]
        self.check(Record(job, entries, made, outputs))

    def check_stray_row(self, row: Row[Any]) -> None:
        if (entry := self._entry(row)) is not None:
            self.check_stray(entry)

    def _entry(self, row: Row[Any]) -> EntryLine | None:
        entry = entry_line(row)
        if entry is None:
            self.findings.append(Finding(f"entry {row.id}", "cannot be read"))
        return entry

    def check_stray(self, entry: EntryLine) -> None:
        """Check an entry that belongs to no job."""
        found = [Finding(f"entry {entry.id}", text) for text in check_stray(entry)]
        self.findings += found
        self._balances[entry.account] += entry.amount
        self._expected[entry.account] += 0 if found else entry.amount

    @property
    def accounts(self) -> frozenset[Account]:
        return frozenset(self._balances) | frozenset(self._expected)

    def account_findings(self) -> Iterator[Finding]:
        for account in sorted(self.accounts, key=account_name):
            found, right = self._balances[account], self._expected[account]
            if found != right:
                yield Finding(
                    f"account of {account_name(account)}",
                    f"has a balance of {credits_text(found)} where {credits_text(right)} is right",
                )


async def verify(view: AsyncConnection, charges: Charges | None = None) -> Verification:
    """Audit the whole database in one view, unaffected by a bot that runs meanwhile.

    Without `charges`, the amounts are not compared with the providers' figures.
    """
    audit = Audit(charges)
    counts = [0, 0]
    try:
        whole = check_catalog if is_postgresql(view) else check_file
        for check in (whole, check_choices, check_sums):
            async for finding in check(view):
                audit.findings.append(finding)
        counts = [await _count(view, ledger), await _count(view, jobs)]
        async for job in _jobs(view):
            audit.check_row(job)
        async for stray in _strays(view):
            audit.check_stray_row(stray)
    except DatabaseError as error:
        audit.findings.append(Finding("file", f"cannot be read any further: {error.orig}"))
        await view.rollback()  # the commit of a damaged file would fail, too
    audit.findings += audit.account_findings()
    return Verification(counts[0], counts[1], len(audit.accounts), tuple(audit.findings))


async def _count(view: AsyncConnection, table: Table) -> int:
    return int((await view.execute(select(func.count()).select_from(table))).scalar_one())


async def _jobs(view: AsyncConnection) -> AsyncIterator[JobRow]:
    after = ""
    statement = select(*JOB_COLUMNS).order_by(jobs.c.id).limit(PAGE)
    while rows := (await view.execute(statement.where(jobs.c.id > after))).all():
        first, after = rows[0].id, rows[-1].id
        entries = await _grouped(view, ENTRIES, first, after)
        made = await _grouped(view, GENERATIONS, first, after)
        outputs = await _grouped(view, OUTPUTS, first, after)
        for row in rows:
            yield JobRow(row, entries[row.id], made[row.id], outputs[row.id])


async def _grouped(
    view: AsyncConnection, statement: Select[Any], first: str, last: str
) -> defaultdict[str, list[Row[Any]]]:
    """Return the rows of another table by their jobs, for a range of jobs."""
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in await view.execute(statement, {"first": first, "last": last}):
        found[row.job_id].append(row)
    return found


async def _strays(view: AsyncConnection) -> AsyncIterator[Row[Any]]:
    after = 0
    known = select(jobs.c.id)
    stray = or_(ledger.c.job_id.is_(None), ledger.c.job_id.not_in(known))
    statement = select(*ENTRY_COLUMNS).where(stray).order_by(ledger.c.id).limit(PAGE)
    while rows := (await view.execute(statement.where(ledger.c.id > after))).all():
        after = rows[-1].id
        for row in rows:
            yield row
