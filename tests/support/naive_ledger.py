"""The quotas and sums of the ledger, recomputed in Python from all entries and jobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.jobs import Generation, Job, JobStatus
from bot.ledger import Account, EntryKind, LedgerEntry
from bot.periods import Period, PeriodKind, current_period, month_of
from bot.quotas import Quotas
from bot.rights import Policy
from bot.store.balances import Level

RESERVED_FOR = timedelta(hours=24)
CHARGED = (EntryKind.CAPTURE, EntryKind.ADJUSTMENT)


@dataclass
class Known:
    """A job as the rules of the machine have left it."""

    job: Job
    status: JobStatus = JobStatus.QUEUED
    made: list[Generation] = field(default_factory=list)
    open: list[Generation] = field(default_factory=list)
    settled_at: datetime | None = None
    cost: int = 0
    estimated: bool = False
    in_doubt: bool = False
    refunded: bool = False

    @property
    def account(self) -> Account:
        return Account(self.job.user_id, self.job.route.account_server_id)


@dataclass(frozen=True)
class Books:
    """All entries, and all jobs by their ids."""

    entries: Sequence[LedgerEntry]
    jobs: Mapping[str, Known]

    def granted_of(self, job_id: str) -> int:
        """Return the part of a job's hold that grants pay."""
        holds = (each for each in self.entries if each.kind is EntryKind.HOLD)
        return -sum(each.granted for each in holds if each.job_id == job_id)

    def granted_of_part(self, known: Known) -> int:
        """Return the part that grants would pay of the open generations of a job."""
        granted, cost = self.granted_of(known.job.id), known.cost
        allowance = known.job.price - granted
        return sum(
            sign * min(max(paid - allowance, 0), granted)
            for sign, paid in ((1, cost + _part(known)), (-1, cost))
        )

    def sum(self, scope: str, period: Period) -> int:
        """Return the sum of a budget's entries in a period."""
        return sum(
            each.amount
            for each in self.entries
            if each.kind is not EntryKind.GRANT
            and period.begin <= each.counted_at < period.end
            and scope in {"bot", f"provider:{each.provider}", f"server:{each.account.server_id}"}
        )

    def grants(self, account: Account) -> int:
        return sum(each.granted for each in self.entries if each.account == account)

    def given_up(self, at: datetime) -> Iterator[Known]:
        """Yield the jobs that were given up and may still be charged."""
        for each in self.jobs.values():
            if each.open and each.settled_at is not None and each.settled_at > at - RESERVED_FOR:
                yield each

    def balance(self, level: Level, of: Job, period: Period) -> int:
        """Return the balance of a level, without the limit, for a request like `of`."""
        account = Account(of.user_id, of.route.account_server_id)
        given_up = list(self.given_up(of.created_at))
        in_period = [each for each in given_up if within(each.job.created_at, period)]
        match level:
            case Level.MEMBER:
                paid = (
                    each.amount - each.granted
                    for each in self.entries
                    if each.account == account and within(each.counted_at, period)
                )
                return sum(paid) - sum(
                    _part(each) - self.granted_of_part(each)
                    for each in in_period
                    if each.account == account
                )
            case Level.GRANTS:
                return self.grants(account) - sum(
                    self.granted_of_part(each) for each in given_up if each.account == account
                )
            case Level.MONTH:
                used = (
                    each.amount
                    for each in self.entries
                    if each.account.user_id == of.user_id
                    and each.kind is not EntryKind.GRANT
                    and within(each.counted_at, period)
                )
                return sum(used) - _reserved(
                    each for each in in_period if each.job.user_id == of.user_id
                )
            case Level.SERVER:
                scope = f"server:{account.server_id}"
                of_level = [
                    each for each in in_period if each.account.server_id == account.server_id
                ]
            case Level.PROVIDER:
                scope = f"provider:{of.provider}"
                of_level = [each for each in in_period if each.job.provider == of.provider]
            case Level.BOT:
                scope, of_level = "bot", in_period
        return self.sum(scope, period) - _reserved(iter(of_level))

    def left(self, job: Job, quotas: Quotas, policy: Policy) -> dict[Level, int]:
        """Return what is left of each limit for a job; the member's part contains the grants."""
        month = month_of(job.created_at)
        zones, budget = policy.settings.zones, policy.settings.budget
        limits: dict[Level, tuple[int | None, Period]] = {
            Level.MONTH: (quotas.allowance, month),
            Level.PROVIDER: (quotas.provider_budgets.get(job.provider), month),
            Level.BOT: (quotas.budget, month),
        }
        for level, limit in ((Level.MEMBER, job.allowance), (Level.SERVER, budget)):
            kind = PeriodKind.MONTH if limit is None else limit.period
            amount = None if limit is None else limit.amount
            limits[level] = (amount, current_period(kind, zones, job.created_at))
        found = {
            level: amount + self.balance(level, job, period)
            for level, (amount, period) in limits.items()
            if amount is not None
        }
        if Level.MEMBER in found:
            found[Level.MEMBER] += max(self.balance(Level.GRANTS, job, month), 0)
        return found

    def share(self, job: Job, policy: Policy) -> int:
        """Return the part of a job's price that grants have to pay."""
        if job.allowance is None or job.allowance.amount is None:
            return 0
        zones, kind = policy.settings.zones, job.allowance.period
        period = current_period(kind, zones, job.created_at)
        allowance = max(job.allowance.amount + self.balance(Level.MEMBER, job, period), 0)
        grants = max(self.balance(Level.GRANTS, job, period), 0)
        return min(max(job.price - allowance, 0), grants)


def within(moment: datetime, period: Period) -> bool:
    return period.begin <= moment < period.end


def _part(known: Known) -> int:
    return known.job.price * len(known.open) // len(known.made)


def _reserved(given_up: Iterator[Known]) -> int:
    return sum(_part(each) for each in given_up)
