"""A machine of random requests, settlements, grants, choices and restarts.

After each step, every sum equals a recomputation from all entries, and no balance is below zero
but by a charge above its hold, an overdue charge, a correction, or a limit that was lowered.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from bot.errors import Reason, UserError
from bot.jobs import Job, JobStatus
from bot.ledger import Account, Cost, EntryKind
from bot.periods import PeriodKind, ZoneChange, current_period
from bot.quotas import Quotas
from bot.rights import Allowance, Policy, Rights, ServerSettings
from bot.store import generations, holds, jobs, servers, settlement
from bot.store.database import Transaction
from bot.store.job_rows import stored_job
from bot.store.sqlite import SQLiteDatabase
from tests.support.ledger_machine import ACCOUNTS, ACTIVE, MODELS, LedgerMachine, cost_of
from tests.support.naive_ledger import Known
from tests.support.rows import new_job

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kathmandu")

# The first account does most, so that its limits are reached.
accounts = st.sampled_from([ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], *ACCOUNTS[1:]])
indexes = st.integers(0, 999)
amounts = st.sampled_from([10_000, 23_000, 100_000, 0, None])
granted = st.builds(Allowance, amount=amounts, period=st.sampled_from(PeriodKind))
budgets = st.sampled_from([None, None, 60_000, 200_000])
models = st.sampled_from(sorted(MODELS))
counts = st.sampled_from([1, 1, 2, 4])
# Of the price, in per cent.
costs = st.sampled_from([None, 0, 1, 60, 100, 130])


class Ledger(LedgerMachine):
    @initialize(
        bot=budgets,
        provider=budgets,
        month=budgets,
        most=st.sampled_from([None, 3]),
        allowance=granted,
        gift=st.sampled_from([100_000, 30_000, 0]),
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

    # Requests

    @rule(account=accounts, model=models, count=counts, begins=st.booleans())
    def request(self, account: Account, model: str, count: int, begins: bool) -> None:
        known = self.order(account, model, count)
        if known is not None and begins:
            self.begin(known)

    @rule(orders=st.lists(st.tuples(accounts, models, counts, costs), min_size=3, max_size=5))
    def draw(self, orders: list[tuple[Account, str, int, int | None]]) -> None:
        """Request several jobs that succeed at once: else few jobs meet the limits."""
        for account, model, count, percent in orders:
            known = self.order(account, model, count)
            if known is not None:
                self.begin(known)
                self.complete(known, percent)
            self.everything_adds_up()

    def order(self, account: Account, model: str, count: int) -> Known | None:
        """Request a job; return None after a refusal that is right."""
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
            return None
        held = self.write(store)  # else refused, and it would have fitted
        assert held.job.granted == share
        for each in held.warnings:
            key = (f"{each.level} of {self.scope(each.level, held.job)}", each.period.begin)
            assert key not in self.warned
            self.warned.add(key)
            assert (each.sum.limit - each.sum.left) * 100 >= each.sum.limit * 80
        known = self.jobs[held.job.id] = Known(held.job)
        return known

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

    # The work, and its ends

    @precondition(lambda self: self.having(JobStatus.QUEUED))
    @rule(index=indexes)
    def run(self, index: int) -> None:
        self.begin(self.chosen(index, JobStatus.QUEUED))

    @precondition(lambda self: self.having(JobStatus.RUNNING))
    @rule(index=indexes, percent=costs)
    def succeed(self, index: int, percent: int | None) -> None:
        self.complete(self.chosen(index, JobStatus.RUNNING), percent)

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

    @rule(account=accounts, amount=st.sampled_from([-20_000, -1, 3_000]))
    def adjust(self, account: Account, amount: int) -> None:
        self.write(
            lambda tx: settlement.correct_account(tx, account, amount, self.now, reason="mistake")
        )
        self.may_lower = amount < 0

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


def test_everything_adds_up_after_each_step() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=4, stateful_step_count=40, deadline=None)
    )


@pytest.mark.long
@pytest.mark.timeout(600)
def test_everything_adds_up_after_many_steps() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(max_examples=12, stateful_step_count=50, deadline=None)
    )
