"""Holds: every quota is checked in the transaction that places a hold.

Else two requests could both take the last credit. One statement reads everything that the quotas
of a request need (bot.store.balances).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import Job
from bot.ledger import EntryKind, share_of_grants
from bot.periods import Period, current_period, month_of
from bot.quotas import (
    LOSS_WINDOW,
    MAX_LOSSES,
    BudgetExhausted,
    CooldownLasts,
    NotEnoughCredits,
    ProviderBudgetExhausted,
    Quotas,
    ServerBudgetExhausted,
    Sum,
    TooManyJobsHere,
)
from bot.rights import Policy
from bot.store import jobs as job_rows
from bot.store import ledger as entries
from bot.store import servers
from bot.store.balances import LOSSES, Level, figures
from bot.store.dialects import insert, keep_row, lock_quotas
from bot.store.identities import ids_of
from bot.store.ledger import RESERVED_FOR
from bot.store.tables import warnings


@dataclass(frozen=True, slots=True)
class Warned:
    """A limit of which 80 % are used: said once in a period."""

    level: Level
    sum: Sum
    period: Period


@dataclass(frozen=True, slots=True)
class Held:
    """A job with its hold, and the warnings that the hold gives rise to."""

    job: Job
    warnings: Sequence[Warned] = ()


@dataclass(frozen=True, slots=True)
class _Limit:
    """A limit of one level, in thousandths of a credit; `scope` is the name in its tables."""

    amount: int
    period: Period
    scope: str


OWN_LEVELS = frozenset({Level.MEMBER, Level.MONTH})  # of which only the member is warned
WARN = keep_row(insert(warnings))


async def hold(tx: AsyncConnection, job: Job, quotas: Quotas, policy: Policy | None = None) -> Held:
    """Hold the whole price of a job that was inserted in the same transaction.

    A UserError if a quota has less left: the caller's transaction must end with the error, and
    takes the job back. `policy` is that of the job's server for the requester.
    """
    await lock_quotas(tx)
    policy = policy or Policy()
    rights = policy.rights
    limits = _limits(job, quotas, policy)
    counts = {"active", "losses"}
    counts |= {"active_here"} if rights.jobs is not None else set()
    counts |= {"last_at"} if rights.cooldown else set()
    found = await _read(tx, job, limits, counts)
    if found["losses"] >= MAX_LOSSES:
        await _check_losses(tx, job, quotas)
    if quotas.max_jobs is not None and found["active"] > quotas.max_jobs:
        usage = await entries.usage_of(tx, job.user_id, job.created_at, None)
        quotas.check_jobs(found["active"], held=usage.held, used=usage.used)
    if rights.jobs is not None and found["active_here"] > rights.jobs:
        raise TooManyJobsHere(rights.jobs)
    if rights.cooldown and found["last_at"] is not None:
        ends_at = found["last_at"] + timedelta(seconds=rights.cooldown)
        if ends_at > job.created_at:
            raise CooldownLasts(rights.cooldown, ends_at)
    warned = _check(job, limits, found, quotas)
    if job.route.interaction_token is None and job.route.guild_id is not None:
        # A message in a server has no private answer: the member's next command gives the warning.
        warned = [each for each in warned if each.level not in OWN_LEVELS]
    job = await _with_share(tx, job, limits, found)
    await entries.append(
        tx, entries.entry_of(job, EntryKind.HOLD, -job.price, job.created_at, granted=-job.granted)
    )
    return Held(job, [each for each in warned if await _warn(tx, limits, each)])


async def hold_difference(
    tx: AsyncConnection, job: Job, before: Job, now: datetime, quotas: Quotas
) -> None:
    """Replace the hold of the job `before` it was handed over to another model.

    The other provider's budget is checked in any case, everything else for a higher price, as in
    `hold`. The allowance is that of the request.
    """
    await lock_quotas(tx)
    undone = entries.entry_of(
        before,
        EntryKind.HOLD,
        before.price,
        now,
        reason=entries.left_reason(before.request.model, now),
        granted=before.granted,
    )
    await entries.append(tx, undone)
    settings = await servers.settings_of(tx, job.route.account_server_id)
    limits = _limits(job, quotas, Policy(settings=settings))
    if job.price > before.price:
        found = await _read(tx, job, limits, set())
        _check(job, limits, found, quotas)
        job = await _with_share(tx, job, limits, found)
    else:
        limits = {level: each for level, each in limits.items() if level is Level.PROVIDER}
        _check(job, limits, await _read(tx, job, limits, set()), quotas)
        share = max(before.granted - (before.price - job.price), 0)
        job = await _store_share(tx, job, share)
    reason = entries.moved_reason(job.request.model, now)
    await entries.append(
        tx,
        entries.entry_of(job, EntryKind.HOLD, -job.price, now, reason=reason, granted=-job.granted),
    )


def _limits(job: Job, quotas: Quotas, policy: Policy) -> dict[Level, _Limit]:
    """Return the limits that the request is compared with."""
    month, server = month_of(job.created_at), job.route.account_server_id
    zones, budget = policy.settings.zones, policy.settings.budget
    found: dict[Level, _Limit] = {}
    if job.allowance is not None and job.allowance.amount is not None:
        period = current_period(job.allowance.period, zones, job.created_at)
        found[Level.MEMBER] = _Limit(job.allowance.amount, period, f"member:{server}:{job.user_id}")
    if quotas.allowance is not None:
        found[Level.MONTH] = _Limit(quotas.allowance, month, f"month:{job.user_id}")
    if budget is not None and budget.amount is not None:
        period = current_period(budget.period, zones, job.created_at)
        found[Level.SERVER] = _Limit(budget.amount, period, f"server:{server}")
    if (of_provider := quotas.provider_budgets.get(job.provider)) is not None:
        found[Level.PROVIDER] = _Limit(of_provider, month, f"provider:{job.provider}")
    if quotas.budget is not None:
        found[Level.BOT] = _Limit(quotas.budget, month, "bot")
    return found


async def _read(
    tx: AsyncConnection, job: Job, limits: Mapping[Level, _Limit], counts: set[str]
) -> Mapping[str, Any]:
    """Return the balances of the limits' levels, and counts, before the hold."""
    levels = {*limits, *({Level.GRANTS} if Level.MEMBER in limits else ())}
    if not levels and not counts:
        return {}
    values: dict[str, object] = {
        **ids_of(tx, job.user_id),
        "server": job.route.account_server_id,
        "provider": job.provider,
        "job": job.id,
        "losses_since": job.created_at - LOSS_WINDOW,
        "reserved_since": job.created_at - RESERVED_FOR,
    }
    for level, limit in limits.items():
        values |= {
            f"{level}_begin": limit.period.begin,
            f"{level}_end": limit.period.end,
            f"{level}_scope": limit.scope,
        }
    statement = figures(frozenset(levels), frozenset(counts))
    return dict((await tx.execute(statement, values)).mappings().one())


def _check(
    job: Job, limits: Mapping[Level, _Limit], found: Mapping[str, Any], quotas: Quotas
) -> list[Warned]:
    """Raise NotEnough for the first limit that the price exceeds; return the warnings.

    What the refusal offers instead fits into every limit.
    """
    sums = {level: _sum(level, job, limit, found) for level, limit in limits.items()}
    least = min((each.left for each in sums.values()), default=0)
    warned = []
    for level, of_level in sums.items():
        if job.price > max(of_level.left, 0):  # what costs nothing is never refused
            raise _refusal(level, job, replace(of_level, least=least), quotas)
        if of_level.has_passed(job.price):
            after = replace(of_level, left=of_level.left - job.price)
            warned.append(Warned(level, after, limits[level].period))
    return warned


def _sum(level: Level, job: Job, limit: _Limit, found: Mapping[str, Any]) -> Sum:
    left = limit.amount + int(found[level])
    if level is Level.MEMBER:
        # Grants are below zero after a charge that nothing was reserved for: later grants pay that.
        # Else the debt would be taken from the allowance of each later period once more.
        left += max(int(found[Level.GRANTS]), 0)
    # If the limit is below the price of one picture, a new period brings none either.
    renews = limit.amount > 0 and limit.amount >= job.price // job.request.count
    return Sum(limit.amount, left, limit.period.end if renews else None)


def _refusal(level: Level, job: Job, left: Sum, quotas: Quotas) -> Exception:
    price, count = job.price, job.request.count
    match level:
        case Level.SERVER:
            return ServerBudgetExhausted(price, count, left)
        case Level.PROVIDER:
            service = quotas.services.get(job.provider, job.provider)
            return ProviderBudgetExhausted(price, count, left, service)
        case Level.BOT:
            return BudgetExhausted(price, count, left)
    return NotEnoughCredits(price, count, left, by_operator=level is Level.MONTH)


async def _with_share(
    tx: AsyncConnection, job: Job, limits: Mapping[Level, _Limit], found: Mapping[str, Any]
) -> Job:
    """Store the part of the price that grants pay, and return the job with it."""
    if Level.MEMBER not in limits:
        return await _store_share(tx, job, 0)
    allowance_left = limits[Level.MEMBER].amount + int(found[Level.MEMBER])
    grants = max(int(found[Level.GRANTS]), 0)
    return await _store_share(tx, job, min(share_of_grants(job.price, allowance_left), grants))


async def _store_share(tx: AsyncConnection, job: Job, share: int) -> Job:
    if share != job.granted:
        await job_rows.set_granted(tx, job.id, share)
    return replace(job, granted=share)


async def _warn(tx: AsyncConnection, limits: Mapping[Level, _Limit], warned: Warned) -> bool:
    """Record a warning; return False if it was given in this period already."""
    values = {"scope": limits[warned.level].scope, "begins_at": warned.period.begin}
    return bool((await tx.execute(WARN, values)).rowcount)


async def _check_losses(tx: AsyncConnection, job: Job, quotas: Quotas) -> None:
    values = {**ids_of(tx, job.user_id), "losses_since": job.created_at - LOSS_WINDOW}
    by_job = {row.job_id: row.created_at for row in await tx.execute(LOSSES, values)}
    quotas.check_losses(sorted(by_job.values()), job.created_at)
