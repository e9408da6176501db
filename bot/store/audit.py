"""The audit of the ledger: recompute every balance from the entries, and report differences.

Amounts and words are read as they are in the file, since a manual change may break every enum.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED, JobStatus
from bot.ledger import Account, EntryKind, credits_text
from bot.store.tables import jobs, ledger

STATUSES = frozenset(JobStatus)
JOB_KINDS = frozenset(EntryKind) - {EntryKind.GRANT}


@dataclass(frozen=True, slots=True)
class JobLine:
    """The money columns of a job, in thousandths of a credit."""

    id: str
    status: str
    account: Account
    price: int
    cost: int | None
    created_at: datetime

    @property
    def settled(self) -> bool:
        return self.status in SETTLED

    @property
    def expected(self) -> int:
        """The correct sum of the job's entries."""
        return -(self.cost or 0) if self.settled else -self.price


@dataclass(frozen=True, slots=True)
class EntryLine:
    id: int
    job_id: str | None
    account: Account
    kind: str
    amount: int
    counted_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference; `about` names a job, an entry or an account."""

    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


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


async def verify(view: AsyncConnection) -> Verification:
    """Audit jobs and ledger in one view, unaffected by a bot that runs meanwhile."""
    columns = jobs.c
    statement = select(
        columns.id,
        columns.status,
        columns.user_id,
        columns.account_server_id,
        columns.price,
        columns.cost,
        columns.created_at,
    )
    job_lines = [
        JobLine(
            row.id,
            row.status,
            Account(row.user_id, row.account_server_id),
            row.price,
            row.cost,
            row.created_at,
        )
        for row in await view.execute(statement)
    ]
    entry_lines = [
        EntryLine(
            row.id,
            row.job_id,
            Account(row.user_id, row.server_id),
            row.kind,
            row.amount,
            row.counted_at,
            row.reason,
        )
        for row in await view.execute(select(ledger).order_by(ledger.c.id))
    ]
    return audit(job_lines, entry_lines)


def audit(job_lines: Sequence[JobLine], entry_lines: Sequence[EntryLine]) -> Verification:
    """Apply the rules of bot.ledger to every job, entry and account."""
    by_id = {job.id: job for job in job_lines}
    entries_of: defaultdict[str, list[EntryLine]] = defaultdict(list)
    findings: list[Finding] = []
    for entry in entry_lines:
        if entry.job_id in by_id:
            entries_of[entry.job_id].append(entry)
        else:
            findings += _of_no_job(entry)
    for job in job_lines:
        findings += (Finding(f"job {job.id}", text) for text in _of_job(job, entries_of[job.id]))
    balances, expected = _balances(entry_lines), _expected(job_lines, entry_lines)
    findings += _of_accounts(balances, expected)
    accounts = len(balances.keys() | expected.keys())
    return Verification(len(entry_lines), len(job_lines), accounts, tuple(findings))


def _of_no_job(entry: EntryLine) -> Iterator[Finding]:
    about = f"entry {entry.id}"
    amount = credits_text(entry.amount)
    if entry.job_id is not None:
        yield Finding(
            about, f"{_a(entry.kind)} of {amount} for job {entry.job_id}, which is missing"
        )
    elif entry.kind != EntryKind.GRANT:
        yield Finding(about, f"{_a(entry.kind)} of {amount} without a job; only grants have none")


def _of_job(job: JobLine, entries: Sequence[EntryLine]) -> Iterator[str]:
    amounts: defaultdict[str, list[int]] = defaultdict(list)
    for entry in entries:
        amounts[entry.kind].append(entry.amount)
    if job.status not in STATUSES:
        yield f"“{job.status}” is no status"
    yield from _held(job, entries)
    if job.settled:
        yield from _once(amounts, EntryKind.RELEASE, job.price)
    else:
        yield from _none(amounts, job, EntryKind.RELEASE, EntryKind.ADJUSTMENT, EntryKind.LOSS)
    if job.status == JobStatus.SUCCEEDED:
        yield from _captured(job, amounts)
    else:
        yield from _none(amounts, job, EntryKind.CAPTURE)
    yield from _none(amounts, job, *(amounts.keys() - JOB_KINDS))
    total = sum(entry.amount for entry in entries if entry.kind != EntryKind.LOSS)
    if total != job.expected:
        yield f"adds up to {credits_text(total)} where {credits_text(job.expected)} is right"
    yield from _misplaced(job, entries)


def _held(job: JobLine, entries: Sequence[EntryLine]) -> Iterator[str]:
    """Check the holds: one of the request, and one with a reason for each change of the model."""
    holds = [entry for entry in entries if entry.kind == EntryKind.HOLD]
    first = [entry for entry in holds if not entry.reason]
    held, right = sum(entry.amount for entry in holds), credits_text(-job.price)
    if len(first) != 1:
        yield f"has {len(first)} hold entries where one of {right} is right"
    elif held != -job.price:
        yield f"has a hold of {credits_text(held)} where {right} is right"


def _once(amounts: dict[str, list[int]], kind: EntryKind, right: int) -> Iterator[str]:
    found = amounts.get(kind, [])
    if len(found) != 1:
        yield f"has {len(found)} {kind} entries where one of {credits_text(right)} is right"
    elif found[0] != right:
        yield f"has a {kind} of {credits_text(found[0])} where {credits_text(right)} is right"


def _none(amounts: dict[str, list[int]], job: JobLine, *kinds: str) -> Iterator[str]:
    for kind in sorted(kinds):
        for amount in amounts.get(kind, []):
            yield f"has {_a(kind)} of {credits_text(amount)}, and is {job.status}"


def _captured(job: JobLine, amounts: dict[str, list[int]]) -> Iterator[str]:
    captures = amounts.get(EntryKind.CAPTURE, [])
    adjusted = sum(amounts.get(EntryKind.ADJUSTMENT, []))
    if job.cost is None:
        yield "has succeeded without a cost"
    if len(captures) != 1:
        yield f"has {len(captures)} capture entries where one is right"
    elif captures[0] + adjusted != -(job.cost or 0):
        yield (
            f"was charged {credits_text(-captures[0] - adjusted)} by capture and adjustments, "
            f"and cost {credits_text(job.cost or 0)}"
        )


def _misplaced(job: JobLine, entries: Iterable[EntryLine]) -> Iterator[str]:
    for entry in entries:
        account = Account(0, job.account.server_id) if entry.kind == EntryKind.LOSS else job.account
        if entry.account != account:
            yield f"has {_a(entry.kind)} in the account of {_name(entry.account)}"
        if entry.counted_at != job.created_at:
            yield (
                f"has {_a(entry.kind)} that counts at {entry.counted_at}, and was requested at "
                f"{job.created_at}"
            )


def _balances(entry_lines: Iterable[EntryLine]) -> Counter[Account]:
    sums: Counter[Account] = Counter()
    for entry in entry_lines:
        sums[entry.account] += entry.amount
    return sums


def _expected(job_lines: Iterable[JobLine], entry_lines: Iterable[EntryLine]) -> Counter[Account]:
    sums: Counter[Account] = Counter()
    for job in job_lines:
        sums[job.account] += job.expected
    for entry in entry_lines:
        is_grant = entry.kind == EntryKind.GRANT and entry.job_id is None
        if is_grant or entry.kind == EntryKind.LOSS:
            sums[entry.account] += entry.amount
    return sums


def _of_accounts(balances: Counter[Account], expected: Counter[Account]) -> Iterator[Finding]:
    for account in sorted(balances.keys() | expected.keys(), key=_name):
        if balances[account] != expected[account]:
            yield Finding(
                f"account of {_name(account)}",
                f"has a balance of {credits_text(balances[account])} where "
                f"{credits_text(expected[account])} is right",
            )


def _name(account: Account) -> str:
    return f"user {account.user_id}, server {account.server_id}"


def _a(kind: str) -> str:
    return f"an {kind}" if kind.startswith("a") else f"a {kind}"
