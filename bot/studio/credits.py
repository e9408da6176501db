"""The credits of a server: what its managers see, grant, refund and limit.

Nothing here exceeds the operator's limits: a grant or a budget of a server is compared besides
`MONTHLY_CREDITS`, and below the budgets of the providers and of the bot.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.jobs import JOB_ID_PATTERN, Job
from bot.ledger import Account, AmountText, Usage
from bot.periods import Period, PeriodKind, ZoneChange, current_period
from bot.pseudonyms import without_mentions
from bot.quotas import Member, Quotas
from bot.rights import READY_MADE, Allowance, Rights, ServerSettings, Subject
from bot.services import Services
from bot.store import changes, jobs, ledger, reports, servers, settlement
from bot.store.balances import used_in_server
from bot.store.database import Transaction
from bot.store.dialects import lock_quotas
from bot.store.reports import REFUND
from bot.store.servers import Granted
from bot.studio.credit_rules import (
    AlreadyRefunded,
    JobUnsettled,
    NoLimitYet,
    NoSuchJobHere,
    NothingCharged,
)
from bot.studio.managers import change_by, check_manager, member_text
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.setting_changes import Changed, store_changed_rights, store_changed_settings
from bot.studio.setting_input import read_grant, read_limit

SHOWN_JOBS = 5  # of a member
COMPLETED_JOBS = 200  # among which the completion of a refund searches
LONGEST_REASON = 200  # characters


@dataclass(frozen=True, slots=True)
class Origin:
    """The subjects that give a member their allowance; `names` are the ids of roles."""

    subject: Subject
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberCredits:
    """The account of a member. `origin` is None if nothing limits the member in the server.

    `operator_is_lower` is true if the operator's limit leaves less than the server's.
    """

    usage: Usage
    allowance: Allowance | None
    origin: Origin | None
    operator_is_lower: bool
    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True)
class Given:
    """A grant or a refund. `granted` is what the account has of grants afterwards."""

    user_id: int
    amount: int
    granted: int
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class LimitSet:
    """An allowance or a budget as it is now. `left` and `resets_at` are of one account or budget.

    `lowered` is true if the limit is lower than before, `operator_is_lower` if the operator allows
    less than it.
    """

    limit: Allowance | None
    changed: bool = False
    lowered: bool = False
    operator_is_lower: bool = False
    used: int = 0
    left: int | None = None
    resets_at: datetime | None = None


class ServerCredits:
    """The use cases of `/credits`. Each raises ManagersOnly or BotNotInServer for others."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._quotas = services.quotas
        self._now = services.now

    async def member(self, manager: Member, of: Member) -> MemberCredits:
        """Return the account of a member, who may have left the server."""
        check_manager(manager)
        now, server_id = self._now(), manager.server_id
        async with self._database.reading() as view:
            policy = await servers.policy_of(view, of)
            rows = await servers.granted_to(view, of)
            allowance, zones = policy.rights.allowance, policy.settings.zones
            account = Account(of.user_id, server_id)
            usage = await ledger.account_usage(view, account, allowance, zones, now)
            month = await ledger.usage_of(view, of.user_id, now, self._quotas.allowance)
            newest = await reports.jobs_of(view, server_id, of.user_id, SHOWN_JOBS)
        lower = month.left is not None and (usage.left is None or month.left < usage.left)
        return MemberCredits(usage, allowance, origin_of(rows, allowance), lower, newest)

    async def grant(self, manager: Member, user_id: int, typed: str, reason: str) -> Given:
        """Give a member credits that last until they are used."""
        check_manager(manager)
        amount, account = read_grant(typed), Account(user_id, manager.server_id)

        async def give(tx: Transaction) -> Given:
            await lock_quotas(tx)
            now = self._now()
            return await _give(tx, manager, account, amount, now, what="grant", reason=reason)

        return await self._database.run(give, timeout=WRITE_LOCK_TIMEOUT)

    async def refund(self, manager: Member, job_id: str) -> Given:
        """Give the cost of a job back as a grant, once. Budgets do not become greater by it."""
        check_manager(manager)
        # A text may be typed that a database takes for no text, such as one with NUL.
        if not re.fullmatch(JOB_ID_PATTERN, job_id):
            raise NoSuchJobHere(job_id)

        async def give(tx: Transaction) -> Given:
            await lock_quotas(tx)
            job = await jobs.lock(tx, job_id)
            if job is None or job.route.account_server_id != manager.server_id:
                raise NoSuchJobHere(job_id)
            if not job.status.settled:
                raise JobUnsettled(job_id)
            if not job.cost or job.cost < 0:
                raise NothingCharged(job_id)
            if await reports.is_refunded(tx, job_id):
                raise AlreadyRefunded(job_id)
            account = Account(job.user_id, manager.server_id)
            given = await _give(
                *(tx, manager, account, job.cost, self._now()),
                what=f"refund of job {job_id}",
                reason=REFUND,
                job_id=job_id,
            )
            return replace(given, job=job)

        return await self._database.run(give, timeout=WRITE_LOCK_TIMEOUT)

    async def refundable(self, manager: Member) -> Sequence[Job]:
        """Return the newest jobs of the server that can be refunded."""
        check_manager(manager)
        async with self._database.reading() as view:
            return await reports.charged(view, manager.server_id, COMPLETED_JOBS)

    async def set_allowance(
        self,
        manager: Member,
        subject: Subject,
        name: str,
        *,
        typed: str | None,
        period: PeriodKind | None,
        of: Member | None = None,
    ) -> LimitSet:
        """Change an allowance, or return it if neither an amount nor a period was typed.

        `of` is the member, if the subject is one: the answer has what is left of the account.
        """
        check_manager(manager)
        changed = _changed(typed, period)

        async def change(tx: Transaction) -> LimitSet:
            await lock_quotas(tx)
            now = self._now()
            made = await store_changed_rights(tx, manager, subject, name, changed, now)
            before, after = made.before.allowance, made.after.allowance
            _check_period(before, changed)
            done = _limit_set(before, after, is_lower(self._quotas, after))
            if of is None:
                return done
            policy = await servers.policy_of(tx, of)
            account = Account(of.user_id, manager.server_id)
            usage = await ledger.account_usage(
                tx, account, policy.rights.allowance, policy.settings.zones, now
            )
            return replace(done, left=usage.left, resets_at=usage.resets_at)

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)

    async def set_budget(
        self, manager: Member, *, typed: str | None = None, period: PeriodKind | None = None
    ) -> LimitSet:
        """Change the server's budget, or return it if nothing was typed. Unset is unlimited."""
        check_manager(manager)
        changed = _changed(typed, period)

        async def change(tx: Transaction) -> LimitSet:
            await lock_quotas(tx)
            made = await store_changed_settings(tx, manager, changed, self._now())
            before, after = made.before.budget, made.after.budget
            _check_period(before, changed)
            done = _limit_set(before, after, is_lower(self._quotas, after, budget=True))
            return await self._with_use(tx, manager.server_id, made.after, done)

        return await self._database.run(change, timeout=WRITE_LOCK_TIMEOUT)

    async def _with_use(
        self, tx: Transaction, server_id: int, settings: ServerSettings, done: LimitSet
    ) -> LimitSet:
        """Add what the budget's period has used; without a budget, what the month has."""
        period = _period(done.limit, settings.zones, self._now())
        used = await used_in_server(tx, server_id, period, self._now())
        amount = None if done.limit is None else done.limit.amount
        left = None if amount is None else amount - used
        return replace(done, used=used, left=left, resets_at=period.end)


def origin_of(rows: Sequence[Granted], allowance: Allowance | None) -> Origin | None:
    """Return the origin of an allowance among the rights that a member has been given."""
    if allowance is None:
        return None
    changed = {each.name: each.rights for each in rows if each.subject is Subject.TIER}
    known: Mapping[str, Rights] = {**READY_MADE, **changed}
    found = [
        each
        for each in rows
        if each.rights.over(known.get(each.rights.tier or "", Rights())).allowance == allowance
    ]
    for subject in (Subject.MEMBER, Subject.ROLE, Subject.DEFAULT):
        if names := tuple(each.name for each in found if each.subject is subject):
            return Origin(subject, names)
    return None


def is_lower(quotas: Quotas, limit: Allowance | None, *, budget: bool = False) -> bool:
    """Return whether the operator allows less in a month than a limit of a server does."""
    limits = [quotas.budget] if budget else [quotas.allowance, quotas.budget]
    return limit is not None and any(limit.in_a_month > each for each in limits if each is not None)


def _changed(typed: str | None, period: PeriodKind | None) -> Changed:
    """Return what is to change of an allowance or a budget: the amount, the period, or both."""
    amount = {} if typed is None else {"amount": read_limit(typed)}
    return amount if period is None else {**amount, "period": period}


def _check_period(before: Allowance | None, changed: Changed) -> None:
    """Raise NoLimitYet for a period without an amount, new or stored."""
    if before is None and changed.keys() == {"period"}:
        raise NoLimitYet


def _limit_set(before: Allowance | None, after: Allowance | None, is_lower: bool) -> LimitSet:
    smaller = before is None or (after is not None and after.in_a_month < before.in_a_month)
    lowered = after is not None and after.amount is not None and smaller
    return LimitSet(after, before != after, lowered, operator_is_lower=is_lower)


def _period(limit: Allowance | None, zones: Sequence[ZoneChange], now: datetime) -> Period:
    kind = PeriodKind.MONTH if limit is None else limit.period
    return current_period(kind, zones, now)


async def _give(
    tx: Transaction,
    manager: Member,
    account: Account,
    amount: int,
    now: datetime,
    *,
    what: str,
    reason: str,
    job_id: str | None = None,
) -> Given:
    """Append a grant and the change that says who gave it."""
    before = await ledger.grants_left(tx, account)
    await settlement.give(
        tx, account, amount, now, reason=without_mentions(reason)[:LONGEST_REASON], job_id=job_id
    )
    await changes.append(
        tx,
        change_by(
            *(manager, now, f"{member_text(account.user_id)}: {what}"),
            f"{AmountText(before)} of grants",
            f"{AmountText(before + amount)} of grants",
        ),
    )
    return Given(account.user_id, amount, before + amount)
