"""A machine of random requests, settlements, grants, choices and restarts.

After each step, every sum equals a recomputation from all entries, and no balance is below zero
but by a charge above its hold, an overdue charge, a correction, or a limit that was lowered.
"""

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

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.errors import Reason, UserError
from bot.jobs import Job, JobStatus, Picture, PictureKind
from bot.ledger import Account, Cost, EntryKind, LedgerEntry
from bot.periods import PeriodKind, ZoneChange, current_period, month_of
from bot.quotas import LOSS_WINDOW, MAX_LOSSES, Quotas
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import generations, holds, jobs, ledger, servers, settlement
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
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu")
MODELS = {"oxen": 7_500, "skills": 20_000, "other": 13_001}
ACTIVE = (JobStatus.QUEUED, JobStatus.SUBMITTING, JobStatus.RUNNING)

# The first account does most, so that its limits are reached.
accounts = st.sampled_from([ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], *ACCOUNTS[1:]])
indexes = st.integers(0, 999)
amounts = st.sampled_from([20_000, 40_000, 100_000, 0, None])
granted = st.builds(Allowance, amount=amounts, period=st.sampled_from(PeriodKind))
budgets = st.sampled_from([None, None, 60_000, 150_000])
models = st.sampled_from(sorted(MODELS))
# Of the price, in per cent.
costs = st.sampled_from([None, 0, 1, 60, 100, 130])


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


class Ledger(RuleBasedStateMachine):
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

    @initialize(
        bot=budgets,
        provider=budgets,
        month=budgets,
        most=st.sampled_from([None, 3]),
        allowance=granted,
        gift=st.sampled_from([30_000, 0, 100_000]),
    )
    def configure(
        self,
        bot: int | None,
        provider: int | None,
        month: int | None,
        most: int | None,
        allowance: Allowance,
        gift: int,
    ) -> None:
        budgets = {} if provider is None else {"oxen": provider, "skills": provider}
        self.quotas = Quotas(
            budget=bot and bot * 2, provider_budgets=budgets, allowance=month, max_jobs=most
        )
        for account in ACCOUNTS[:2]:
            self.rights[account] = Rights(allowance=allowance)
            if gift:
                self.give(EntryKind.GRANT, account, gift, "a welcome")

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

    # Requests

    @rule(account=accounts, model=models, count=st.sampled_from([1, 1, 2, 4]), begins=st.booleans())
    def request(self, account: Account, model: str, count: int, begins: bool) -> None:
        self.now += timedelta(seconds=1)
        self.number += 1
        policy = self.policy(account)
        new = replace(
            new_job(
                account.user_id,
                price=MODELS[model] * count,
                at=self.now,
                server_id=account.server_id,
                count=count,
            ),
            id=f"{self.number:016}",
            provider=model,
            model_auto=True,
            allowance=policy.rights.allowance,
        )
        new = replace(new, request=replace(new.request, model=model))

        async def store(tx: Transaction) -> holds.Held:
            return await holds.hold(tx, await jobs.add(tx, new), self.quotas, policy)

        job = replace(stored_job(new), allowance=new.allowance)
        reasons = [*self.refusals(job, policy)]
        share = self.books.share(job, policy)
        if reasons:
            with pytest.raises(UserError):  # else accepted, and it does not fit
                self.write(store)
            return
        held = self.write(store)  # else refused, and it would have fitted
        assert held.job.granted == share
        for each in held.warnings:
            key = (f"{each.level} of {self.scope(each.level, held.job)}", each.period.begin)
            assert key not in self.warned
            self.warned.add(key)
            assert (each.sum.limit - each.sum.left) * 100 >= each.sum.limit * 80
        known = self.jobs[held.job.id] = Known(held.job)
        if begins:
            self.begin(known)

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

    @precondition(lambda self: self.having(JobStatus.QUEUED))
    @rule(index=indexes, model=models, factor=st.sampled_from([1, 2]))
    def hand_over(self, index: int, model: str, factor: int) -> None:
        known = self.chosen(index, JobStatus.QUEUED)
        before, price = known.job, MODELS[model] * factor
        if before.request.model == model:
            return

        async def move(tx: Transaction) -> Job:
            moved = await jobs.hand_over(tx, before, model=model, provider=model, price=price)
            assert moved is not None
            await holds.hold_difference(tx, moved, before, self.now, self.quotas)
            found = await jobs.get(tx, before.id)
            assert found is not None
            return found

        settings = self.settings.get(before.route.account_server_id, ServerSettings())
        moved = replace(
            before, price=price, provider=model, request=replace(before.request, model=model)
        )
        fits = self.fits_after(known, moved, Policy(settings=settings))
        self.may_lower = before.allowance != self.policy(known.account).rights.allowance
        if fits:
            known.job = self.write(move)
        else:
            with pytest.raises(UserError):
                self.write(move)

    def fits_after(self, known: Known, moved: Job, policy: Policy) -> bool:
        """Return whether the new price fits when the former hold is given back."""
        before = known.job
        undone = [each for each in self.books.entries if each.job_id != before.id]
        others = {each.job.id: each for each in self.jobs.values() if each is not known}
        left = Books(undone, others).left(moved, self.quotas, policy)
        if moved.price <= before.price:
            left = {level: each for level, each in left.items() if level is Level.PROVIDER}
        return all(moved.price <= each for each in left.values())

    # The work, and its ends

    @precondition(lambda self: self.having(JobStatus.QUEUED))
    @rule(index=indexes)
    def run(self, index: int) -> None:
        self.begin(self.chosen(index, JobStatus.QUEUED))

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

    @precondition(lambda self: self.having(JobStatus.RUNNING))
    @rule(index=indexes, percent=costs)
    def succeed(self, index: int, percent: int | None) -> None:
        known = self.chosen(index, JobStatus.RUNNING)
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

    @precondition(lambda self: any(each.estimated for each in self.jobs.values()))
    @rule(index=indexes, percent=costs)
    def correct(self, index: int, percent: int | None) -> None:
        estimated = [each for each in self.jobs.values() if each.estimated]
        known = estimated[index % len(estimated)]
        if (cost := cost_of(known.job, percent)) is None:
            return
        self.write(lambda tx: settlement.correct_cost(tx, known.job.id, cost, self.now))
        self.write(lambda tx: settlement.correct_cost(tx, known.job.id, cost, self.now))
        self.may_lower = cost.amount > known.cost
        known.cost, known.estimated = cost.amount, False

    @precondition(lambda self: self.having(*ACTIVE))
    @rule(index=indexes, gives_up=st.booleans(), percent=costs)
    def fail(self, index: int, gives_up: bool, percent: int | None) -> None:
        known = self.chosen(index, *ACTIVE)
        ends = {} if gives_up else {each.id: JobStatus.FAILED for each in known.open}
        lost = cost_of(known.job, percent) if known.open and not gives_up else None
        losses = {} if lost is None else {known.open[0].remote_id: lost}
        self.write(
            lambda tx: settlement.fail(
                tx, known.job.id, self.now, reason=Reason.TIMEOUT, ends=ends, losses=losses
            )
        )
        self.may_lower = lost is not None and lost.amount > known.job.price
        self.settle(known, JobStatus.FAILED, open=gives_up)

    @precondition(lambda self: self.having(*ACTIVE))
    @rule(index=indexes, withdraws=st.booleans())
    def cancel(self, index: int, withdraws: bool) -> None:
        known = self.chosen(index, *ACTIVE)
        if withdraws and known.status is JobStatus.QUEUED:
            self.write(lambda tx: settlement.withdraw(tx, known.job.id, self.now))
        else:
            ends = {each.id: JobStatus.CANCELED for each in known.open}
            self.write(lambda tx: settlement.cancel(tx, known.job.id, self.now, ends=ends))
        self.settle(known, JobStatus.CANCELED)

    @precondition(lambda self: self.having(JobStatus.QUEUED))
    @rule(index=indexes)
    def lose_the_outcome(self, index: int) -> None:
        known = self.chosen(index, JobStatus.QUEUED)

        async def fail(tx: Transaction) -> None:
            await jobs.confirm_reply(tx, known.job.id, 40)
            job = await jobs.move(tx, known.job.id, JobStatus.SUBMITTING, submitted_at=self.now)
            await settlement.fail_unknown(tx, job, self.now)

        self.write(fail)
        self.settle(known, JobStatus.FAILED)
        known.in_doubt = True

    @precondition(lambda self: any(each.in_doubt for each in self.jobs.values()))
    @rule(index=indexes)
    def find(self, index: int) -> None:
        doubtful = [each for each in self.jobs.values() if each.in_doubt]
        known = doubtful[index % len(doubtful)]
        ids = [f"{known.job.id}-{number}" for number in range(known.job.request.count)]

        async def find(tx: Transaction) -> None:
            for _ in range(2):  # once more by another process
                await settlement.find_unknown(tx, known.job, ids, self.now)
            known.made = await generations.of_job(tx, known.job.id)

        self.write(find)
        known.in_doubt, known.open, self.may_lower = False, [*known.made], True

    @precondition(lambda self: self.given_up())
    @rule(index=indexes, percent=costs)
    def finish_overdue(self, index: int, percent: int | None) -> None:
        known = self.given_up()[index % len(self.given_up())]
        cost, done = cost_of(known.job, percent), known.open[:1]
        made = [self.picture()]

        async def charge(tx: Transaction) -> Job | None:
            stored = await jobs.get(tx, known.job.id)
            assert stored is not None
            await settlement.charge_overdue(
                tx, stored, self.now, cost=cost, pictures=made, generations=done
            )
            return await jobs.get(tx, known.job.id)

        charged = self.write(charge)
        estimate = known.job.price // known.job.request.count
        known.cost += estimate if cost is None else cost.amount
        assert charged is not None
        assert charged.cost == known.cost
        known.open, self.may_lower = known.open[1:], True

    @precondition(lambda self: self.given_up())
    @rule(index=indexes, percent=costs)
    def end_overdue(self, index: int, percent: int | None) -> None:
        known = self.given_up()[index % len(self.given_up())]
        cost, ended = cost_of(known.job, percent) or Cost(0), known.open[:1]
        losses = {ended[0].remote_id: cost}
        self.write(lambda tx: settlement.end_overdue(tx, known.job, ended, self.now, losses=losses))
        known.open, self.may_lower = known.open[1:], True

    def given_up(self) -> list[Known]:
        return [each for each in self.jobs.values() if each.open and each.settled_at is not None]

    @precondition(lambda self: self.having(*set(JobStatus) - set(ACTIVE)))
    @rule(index=indexes)
    def settle_again(self, index: int) -> None:
        known = self.chosen(index, *set(JobStatus) - set(ACTIVE))
        with pytest.raises(jobs.MoveRefused):
            self.write(lambda tx: settlement.cancel(tx, known.job.id, self.now))

    # People

    @rule(account=accounts, amount=st.sampled_from([1, 7_000, 50_000]))
    def grant(self, account: Account, amount: int) -> None:
        self.give(EntryKind.GRANT, account, amount, "a contest")

    @precondition(lambda self: any(self.refundable(each) for each in self.jobs.values()))
    @rule(index=indexes, percent=st.sampled_from([1, 50, 100]))
    def refund(self, index: int, percent: int) -> None:
        known = [each for each in self.jobs.values() if self.refundable(each)]
        job = known[index % len(known)]
        amount = max(job.cost * percent // 100, 1)
        self.give(EntryKind.GRANT, job.account, amount, "refund", job.job.id)
        job.refunded = True

    def refundable(self, known: Known) -> bool:
        return known.cost > 0 and known.settled_at is not None and not known.refunded

    @rule(account=accounts, amount=st.sampled_from([-20_000, -1, 3_000]))
    def adjust(self, account: Account, amount: int) -> None:
        self.write(
            lambda tx: settlement.correct_account(tx, account, amount, self.now, reason="mistake")
        )
        self.may_lower = amount < 0

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

    @rule(account=accounts, allowance=granted, most=st.sampled_from([None, 1, 3]))
    def allow(self, account: Account, allowance: Allowance, most: int | None) -> None:
        if account.server_id:
            self.rights[account] = Rights(allowance=allowance, jobs=most)
            self.may_lower = True

    @rule(budget=st.none() | granted, zone=st.none() | st.sampled_from(ZONES))
    def choose(self, budget: Allowance | None, zone: str | None) -> None:
        settings = self.settings.get(10, ServerSettings())
        zones = settings.zones if zone is None else (*settings.zones, ZoneChange(self.now, zone))
        chosen = settings.model_copy(update={"budget": budget, "zones": zones})

        async def store(tx: Transaction) -> ServerSettings:
            await servers.store_settings(tx, 10, chosen)
            return await servers.settings_of(tx, 10)

        self.settings[10] = self.write(store)
        assert self.settings[10] == chosen
        self.may_lower = True

    # Time

    @rule(minutes=st.sampled_from([1, 14, 15, 61, 60 * 23, 60 * 24]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.may_lower = True

    @rule(kind=st.sampled_from(PeriodKind), seconds=st.sampled_from([-2, -1, 0]))
    def wait_for_the_next_period(self, kind: PeriodKind, seconds: int) -> None:
        zones = self.settings.get(10, ServerSettings()).zones
        end = current_period(kind, zones, self.now).end
        self.now = max(self.now, end + timedelta(seconds=seconds))
        self.may_lower = True

    @rule()
    def restart(self) -> None:
        async def again() -> SQLiteDatabase:
            await self.database.close()
            return await SQLiteDatabase(self.path).__aenter__()

        self.database = self.runner.run(again())

    # After each step

    @invariant()
    def everything_adds_up(self) -> None:
        self.runner.run(self.compare())
        for job_id, known in self.jobs.items():
            of_job = [each for each in self.books.entries if each.job_id == job_id]
            assert sum(each.kind is EntryKind.RELEASE for each in of_job) <= 1
            assert -sum(each.amount for each in of_job if each.kind in CHARGED) == known.cost
            held = (EntryKind.HOLD, EntryKind.RELEASE)
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
            # Each part of a reserved price is rounded down on its own.
            assert (usage.left is None) == (left is None)
            given_up = len([*self.books.given_up(self.now)])
            assert left is None or 0 <= left - (usage.left or 0) <= given_up

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


def test_everything_adds_up_after_each_step() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=12, stateful_step_count=40, deadline=None)
    )


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_everything_adds_up_after_many_steps() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=100, stateful_step_count=50, deadline=None)
    )
