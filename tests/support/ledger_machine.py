"""The state of a machine that works on a ledger at random, and the checks after each step."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, invariant

from bot.jobs import Job, JobStatus, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind, LedgerEntry
from bot.periods import month_of
from bot.quotas import LOSS_WINDOW, MAX_LOSSES, Quotas
from bot.rights import Policy, Rights, ServerSettings
from bot.store import generations, jobs, ledger, settlement
from bot.store.audit import verify
from bot.store.balances import Level
from bot.store.database import Transaction
from bot.store.job_rows import stored_job
from bot.store.sqlite import SQLiteDatabase
from tests.support.naive_ledger import CHARGED, Books, Known
from tests.support.old_books import counted_sums, stored_sums
from tests.support.rows import new_job

T = TypeVar("T")
BEGIN = datetime(2026, 10, 24, 20, tzinfo=UTC)  # before clocks change and a month ends
ACCOUNTS = [Account(1, 10), Account(2, 10), Account(1, 0)]
MODELS = {"oxen": 7_500, "skills": 20_000, "other": 13_001}
ACTIVE = (JobStatus.QUEUED, JobStatus.SUBMITTING, JobStatus.RUNNING)


@cache
def empty_file() -> Path:
    """A file without rows, migrated once; in memory where the system has a place for that."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of its own is made there
    folder = tempfile.mkdtemp(prefix="easel-", dir=memory if memory.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "easel.db"

    async def write() -> None:
        async with SQLiteDatabase(path):
            pass

    asyncio.run(write())
    return path


class LedgerMachine(RuleBasedStateMachine):
    """A database, and everything that is known about it beside its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=empty_file().parent))
        self.path = Path(shutil.copyfile(empty_file(), self.folder / "easel.db"))
        self.runner = asyncio.Runner()
        self.database = self.runner.run(SQLiteDatabase(self.path).__aenter__())
        self.now, self.number, self.pictures, self.steps = BEGIN, 0, 0, 0
        self.quotas = Quotas()
        self.jobs: dict[str, Known] = {}
        self.rights: dict[Account, Rights] = {}
        self.settings: dict[int, ServerSettings] = {}
        self.warned: set[tuple[str, datetime]] = set()
        # The balances after the step before, and whether this step may take more than is left.
        self.before: dict[object, int] = {}
        self.may_lower = False
        self.books = Books([], self.jobs)

    def teardown(self) -> None:
        async def end() -> None:
            async with self.database.reading() as view:
                found = [str(each) for each in (await verify(view)).findings]
            await self.database.close()
            assert found == []

        try:
            self.runner.run(end())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # How a rule works on the database

    def write(self, block: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        self.now += timedelta(seconds=1)

        async def run() -> T:
            async with self.database.transaction() as tx:
                return await block(tx)

        return self.runner.run(run())

    def chosen(self, index: int, *statuses: JobStatus) -> Known:
        found = self.having(*statuses)
        return found[index % len(found)]

    def having(self, *statuses: JobStatus) -> list[Known]:
        return [each for each in self.jobs.values() if each.status in statuses]

    def policy(self, account: Account) -> Policy:
        settings = self.settings.get(account.server_id, ServerSettings())
        return Policy(settings=settings, rights=self.rights.get(account, Rights()))

    def picture(self) -> Picture:
        self.pictures += 1
        return Picture(f"{self.pictures:064x}", PictureKind.PNG, 9, 1, 1)

    def settle(self, known: Known, status: JobStatus, *, open: bool = False) -> None:
        known.status, known.settled_at = status, self.now
        if not open:
            known.open = []

    def refusals(self, job: Job, policy: Policy) -> list[str]:
        """Return the reasons for which a request has to be refused."""
        left = self.books.left(job, self.quotas, policy)
        found = [f"{level}: {each}" for level, each in left.items() if job.price > each]
        active = [each for each in self.having(*ACTIVE) if each.job.user_id == job.user_id]
        here = [each for each in active if each.account.server_id == job.route.account_server_id]
        if self.quotas.max_jobs is not None and len(active) >= self.quotas.max_jobs:
            found.append("jobs")
        if policy.rights.jobs is not None and len(here) >= policy.rights.jobs:
            found.append("jobs here")
        lost = {
            each.job_id
            for each in self.books.entries
            if each.kind is EntryKind.LOSS
            and each.amount < 0
            and each.created_at > job.created_at - LOSS_WINDOW
            and each.job_id in self.jobs
            and self.jobs[each.job_id].job.user_id == job.user_id
            and self.lost(each.job_id) < 0
        }
        return [*found, *(["losses"] if len(lost) >= MAX_LOSSES else [])]

    def lost(self, job_id: str) -> int:
        losses = (each for each in self.books.entries if each.kind is EntryKind.LOSS)
        return sum(each.amount for each in losses if each.job_id == job_id)

    def scope(self, level: Level, job: Job) -> object:
        parts: Mapping[Level, object] = {
            Level.MEMBER: (job.user_id, job.route.account_server_id),
            Level.MONTH: job.user_id,
            Level.SERVER: job.route.account_server_id,
            Level.PROVIDER: job.provider,
        }
        return parts.get(level)

    def fits_after(self, known: Known, moved: Job, policy: Policy) -> bool:
        """Return whether the new price fits when the former hold is given back."""
        before = known.job
        undone = [each for each in self.books.entries if each.job_id != before.id]
        others = {each.job.id: each for each in self.jobs.values() if each is not known}
        left = Books(undone, others).left(moved, self.quotas, policy)
        if moved.price <= before.price:
            left = {level: each for level, each in left.items() if level is Level.PROVIDER}
        return all(moved.price <= each for each in left.values())

    def begin(self, known: Known) -> None:
        """Let a job run at its provider."""
        ids = [f"{known.job.id}-{number}" for number in range(known.job.request.count)]

        async def start(tx: Transaction) -> None:
            await jobs.confirm_reply(tx, known.job.id, 40)
            await jobs.move(tx, known.job.id, JobStatus.SUBMITTING, submitted_at=self.now)
            known.job = await jobs.start_running(tx, known.job.id, self.now)
            known.made = await generations.add(tx, known.job.id, known.job.provider, ids)

        self.write(start)
        known.status, known.open = JobStatus.RUNNING, [*known.made]

    def given_up(self) -> list[Known]:
        return [each for each in self.jobs.values() if each.open and each.settled_at is not None]

    def refundable(self, known: Known) -> bool:
        return known.cost > 0 and known.settled_at is not None and not known.refunded

    def give(
        self,
        kind: EntryKind,
        account: Account,
        amount: int,
        reason: str,
        job_id: str | None = None,
    ) -> None:
        self.now += timedelta(seconds=1)
        entry = LedgerEntry(
            *(account, kind, amount, self.now, self.now, job_id),
            granted=amount if kind is EntryKind.GRANT else 0,
            reason=reason,
        )
        self.write(lambda tx: ledger.append(tx, entry))

    def complete(self, known: Known, percent: int | None) -> None:
        """Let a running job succeed at this part of the price."""
        job, cost = known.job, cost_of(known.job, percent)
        ends = {each.id: JobStatus.SUCCEEDED for each in known.open}
        pictures = [self.picture() for _ in known.open]
        settled = self.write(
            lambda tx: settlement.succeed(
                tx, job, self.now, cost=cost, pictures=pictures, ends=ends
            )
        )
        self.may_lower = cost is not None and cost.amount > job.price
        known.cost, known.estimated = job.price if cost is None else cost.amount, cost is None
        assert (settled.cost, settled.estimated) == (known.cost, known.estimated)
        self.settle(known, JobStatus.SUCCEEDED)

    # After each step

    @invariant()
    def everything_adds_up(self) -> None:
        self.runner.run(self.compare())
        for job_id, known in self.jobs.items():
            of_job = [each for each in self.books.entries if each.job_id == job_id]
            assert sum(each.kind is EntryKind.RELEASE for each in of_job) <= 1
            assert -sum(each.amount for each in of_job if each.kind in CHARGED) == known.cost
            held = (EntryKind.HOLD, EntryKind.RELEASE)
            # The allowance pays first, then what the hold took from grants.
            granted = self.books.granted_of(job_id)
            by_grants = min(max(known.cost - (known.job.price - granted), 0), granted)
            assert -sum(each.granted for each in of_job if each.kind in CHARGED) == by_grants
            open_hold = -known.job.price if known.status in ACTIVE else 0
            assert sum(each.amount for each in of_job if each.kind in held) == open_hold
        after = self.balances()
        for scope, balance in after.items():
            lowered = balance < min(self.before.get(scope, balance), 0)
            assert self.may_lower or not lowered, f"{scope}: {balance}"
        self.before, self.may_lower = after, False

    async def compare(self) -> None:
        """Read all entries, and compare every sum of the database with theirs."""
        async with self.database.reading() as view:
            listed = [entry async for _, entry in ledger.all_entries(view)]
            self.books = Books(listed, self.jobs)
            assert await stored_sums(view) == await counted_sums(view)
            month = month_of(self.now)
            for scope in ("bot", "server:10", "provider:oxen"):
                assert await ledger.spent(view, scope, month) == -self.books.sum(scope, month)
            self.steps += 1  # one account after each step, for the sake of time
            account = ACCOUNTS[self.steps % len(ACCOUNTS)]
            policy = self.policy(account)
            allowance, zones = policy.rights.allowance, policy.settings.zones
            usage = await ledger.account_usage(view, account, allowance, zones, self.now)
            assert usage.granted == self.books.grants(account)
            left = self.left_of(account).get(Level.MEMBER)
            assert usage.left == left

    def balances(self) -> dict[object, int]:
        """Return what is left of every limit."""
        found: dict[object, int] = {}
        for account in ACCOUNTS:
            for level, left in self.left_of(account).items():
                found[level, self.scope(level, self.like(account))] = left
        return found

    def left_of(self, account: Account) -> dict[Level, int]:
        return self.books.left(self.like(account), self.quotas, self.policy(account))

    def like(self, account: Account) -> Job:
        """Return a job as a request in this account would make it now."""
        new = new_job(account.user_id, at=self.now, server_id=account.server_id)
        return replace(stored_job(new), allowance=self.policy(account).rights.allowance)


def cost_of(job: Job, percent: int | None) -> Cost | None:
    return None if percent is None else Cost(job.price * percent // 100)
