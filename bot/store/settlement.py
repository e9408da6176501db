"""Settlement: status and money move together, by one function for each outcome.

Nothing else writes a settled status, a release, a capture, an adjustment or a loss; a test holds
that.
Each function takes the transaction of its caller, so that pictures and the ends of generations
are stored with the outcome or not at all. MoveRefused if the job is settled already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus, Picture
from bot.ledger import Account, Cost, EntryKind, LedgerEntry, share_of_cost
from bot.pseudonyms import is_pseudonym
from bot.store import generations as generation_rows
from bot.store import jobs, ledger
from bot.store import pictures as picture_rows
from bot.store.pictures import Role

# The reasons of adjustments, which the audit compares.
CORRECTED = "cost reported after settlement"
OVERDUE = "made after the time-out: "  # and the first generation's remote id

Ends = Mapping[int, JobStatus]  # by the generation's row id; a generation left open has none
Losses = Mapping[str, Cost]  # charges that no member owes, by remote id or another reason
UNKNOWN_OUTCOME = "unknown outcome"  # the reason of a loss whose generations are not known ...
FOUND = "unknown outcome, found"  # ... and of the opposite loss, when they are


async def succeed(
    tx: AsyncConnection,
    job: Job,
    now: datetime,
    *,
    cost: Cost | None,
    pictures: Sequence[Picture],
    ends: Ends,
    losses: Losses | None = None,
    expanded_prompt: str | None = None,
) -> Job:
    """Charge a job that has at least one picture.

    Without a reported `cost`, the price of the pictures that were made is charged as an estimate.
    `losses` are charges for generations that failed. `expanded_prompt` was drawn instead of the
    member's prompt.
    """
    charged = cost or estimate(job, len(pictures))
    settled = await jobs.move(
        tx,
        job.id,
        JobStatus.SUCCEEDED,
        settled_at=now,
        lease_until=None,
        cost=charged.amount,
        estimated=cost is None,
        generation_ms=job.generation_ms,
        reason=None,
        expanded_prompt=expanded_prompt,
    )
    await picture_rows.attach(tx, job.id, Role.OUTPUT, pictures, now)
    await _end_generations(tx, ends)
    await _release(tx, settled, now)
    share = _share(settled, charged.amount)
    entry = ledger.entry_of(
        settled, EntryKind.CAPTURE, -charged.amount, now, details=charged, granted=-share
    )
    await ledger.append(tx, entry)
    await lose(tx, settled, losses or {}, now)
    return settled


async def fail(
    tx: AsyncConnection,
    job_id: str,
    now: datetime,
    *,
    reason: Reason,
    remark: str | None = None,
    ends: Ends | None = None,
    losses: Losses | None = None,
) -> Job:
    """Fail a job and release its hold. `remark` is a sentence for the member."""
    failed = await jobs.move(
        tx,
        job_id,
        JobStatus.FAILED,
        settled_at=now,
        lease_until=None,
        reason=reason,
        remark=remark,
    )
    await _end_generations(tx, ends or {})
    await _release(tx, failed, now)
    await lose(tx, failed, losses or {}, now)
    return failed


async def cancel(
    tx: AsyncConnection,
    job_id: str,
    now: datetime,
    *,
    ends: Ends | None = None,
    losses: Losses | None = None,
) -> Job:
    """Cancel a job, as the member requested, and release its hold."""
    canceled = await jobs.move(
        tx, job_id, JobStatus.CANCELED, settled_at=now, lease_until=None, reason=None
    )
    await _end_generations(tx, ends or {})
    await _release(tx, canceled, now)
    await lose(tx, canceled, losses or {}, now)
    return canceled


async def fail_unknown(tx: AsyncConnection, job: Job, now: datetime) -> Job:
    """Fail a job whose creating request may have been executed: its price is a loss."""
    losses = {UNKNOWN_OUTCOME: Cost(job.price, {"estimated": "yes"})}
    return await fail(tx, job.id, now, reason=Reason.DOUBTFUL, losses=losses)


async def find_unknown(
    tx: AsyncConnection, job: Job, remote_ids: Sequence[str], now: datetime
) -> None:
    """Store the generations of a job that failed with an unknown outcome, and reverse its loss.

    Their price is reserved from now on, like that of any other job that was given up.
    """
    stored = await jobs.lock(tx, job.id)
    if stored is None or is_pseudonym(stored.user_id):
        return  # the member's data was deleted meanwhile
    if await generation_rows.of_job(tx, job.id):
        return  # another process has found them meanwhile
    await generation_rows.add(tx, job.id, job.provider, remote_ids)
    entries = await ledger.entries_of(tx, job.id)
    lost = sum(
        entry.amount
        for entry in entries
        if entry.kind is EntryKind.LOSS and entry.reason == UNKNOWN_OUTCOME
    )
    await lose(tx, job, {FOUND: Cost(lost, {"estimated": "yes"})}, now)


async def withdraw(tx: AsyncConnection, job_id: str, now: datetime) -> Job:
    """Cancel a job whose reply never reached Discord: nothing remains to be delivered."""
    canceled = await jobs.move(
        tx, job_id, JobStatus.CANCELED, settled_at=now, lease_until=None, delivered_at=now
    )
    await _release(tx, canceled, now)
    return canceled


async def correct_cost(tx: AsyncConnection, job_id: str, cost: Cost, now: datetime) -> None:
    """Replace an estimated cost by the reported one, once."""
    stored = await jobs.lock(tx, job_id)
    if stored is None or stored.cost is None or not stored.estimated:
        return  # corrected already
    await jobs.change(tx, job_id, cost=cost.amount, estimated=False)
    share = share_of_cost(cost.amount, stored.price, stored.granted)
    before = share_of_cost(stored.cost, stored.price, stored.granted)
    await _adjust(
        tx,
        stored,
        stored.cost - cost.amount,
        now,
        reason=CORRECTED,
        cost=cost,
        granted=before - share,
    )


async def correct_account(
    tx: AsyncConnection, account: Account, amount: int, now: datetime, *, reason: str
) -> None:
    """Add an amount to an account, or take it if negative, without a job: by the operator."""
    entry = LedgerEntry(account, EntryKind.ADJUSTMENT, amount, now, now, reason=reason)
    await ledger.append(tx, entry)


async def give(
    tx: AsyncConnection,
    account: Account,
    amount: int,
    now: datetime,
    *,
    reason: str,
    job_id: str | None = None,
) -> None:
    """Grant an amount to an account, until it is used: by a manager, or as a job's refund."""
    entry = LedgerEntry(
        *(account, EntryKind.GRANT, amount, now, now),
        job_id=job_id,
        granted=amount,
        reason=reason,
    )
    await ledger.append(tx, entry)


async def charge_overdue(
    tx: AsyncConnection,
    job: Job,
    now: datetime,
    *,
    cost: Cost | None,
    pictures: Sequence[Picture],
    generations: Iterable[Generation],
    expanded_prompt: str | None = None,
) -> None:
    """Charge pictures that were finished after `JOB_TIMEOUT`, and let them be delivered."""
    charged = cost or estimate(job, len(pictures))
    finished = list(generations)
    stored = await jobs.lock(tx, job.id) or job  # an earlier overdue picture may have been charged
    if is_pseudonym(stored.user_id):  # deleted meanwhile: nobody is to see the pictures
        await _end_generations(tx, {each.id: JobStatus.FAILED for each in finished})
        await lose(tx, stored, {each.remote_id: charged for each in finished[:1]}, now)
        return
    already = await picture_rows.of_job(tx, job.id, Role.OUTPUT)
    await picture_rows.attach(tx, job.id, Role.OUTPUT, pictures, now, after=len(already))
    await _end_generations(tx, {each.id: JobStatus.SUCCEEDED for each in finished})
    # One adjustment for each overdue end: adjustments are unique by job and reason.
    reason = f"{OVERDUE}{finished[0].remote_id}"
    before = stored.cost or 0
    granted = _share(stored, before) - _share(stored, before + charged.amount)
    await _adjust(tx, stored, -charged.amount, now, reason=reason, cost=charged, granted=granted)
    await jobs.change(
        tx,
        job.id,
        cost=(stored.cost or 0) + charged.amount,
        overdue_at=now,
        expanded_prompt=stored.expanded_prompt or expanded_prompt,
        delivered_at=None,
        result_message_id=None,  # of the message about the failure
        deliver_after=None,
        delivery_attempts=0,
        delivery_started_at=None,
    )


async def end_overdue(
    tx: AsyncConnection,
    job: Job,
    ended: Iterable[Generation],
    now: datetime,
    *,
    losses: Losses,
) -> None:
    """Store the ends of generations that have no picture for a settled job, with their charges."""
    await _end_generations(tx, {each.id: JobStatus.FAILED for each in ended})
    await lose(tx, job, losses, now)


async def price_of_generation(connection: AsyncConnection, job: Job) -> Cost:
    """Return the part of a job's price that one of its generations may have been charged."""
    known = await generation_rows.of_job(connection, job.id)
    return Cost(job.price // max(len(known), 1), {"estimated": "yes"})


async def lose(tx: AsyncConnection, job: Job, losses: Losses, now: datetime) -> None:
    """Record charges in the account of the server, where they count in every budget above the
    member's."""
    for reason, cost in losses.items():
        if cost.amount:
            entry = ledger.entry_of(
                job, EntryKind.LOSS, -cost.amount, now, reason=reason, details=cost
            )
            account = Account(0, job.route.account_server_id)
            await ledger.append(tx, replace(entry, account=account))


def estimate(job: Job, pictures: int) -> Cost:
    """Return the price of as many pictures as were made, at most as many as were requested."""
    made = min(pictures, job.request.count)
    return Cost(job.price * made // job.request.count, {"estimated": "yes"})


def _share(job: Job, cost: int) -> int:
    return share_of_cost(cost, job.price, job.granted)


async def _release(tx: AsyncConnection, job: Job, now: datetime) -> None:
    """Return the whole hold."""
    entry = ledger.entry_of(job, EntryKind.RELEASE, job.price, now, granted=job.granted)
    await ledger.append(tx, entry)


async def _adjust(
    tx: AsyncConnection,
    job: Job,
    amount: int,
    now: datetime,
    *,
    reason: str,
    cost: Cost,
    granted: int,
) -> None:
    entry = ledger.entry_of(
        job, EntryKind.ADJUSTMENT, amount, now, reason=reason, details=cost, granted=granted
    )
    await ledger.append(tx, entry)


async def _end_generations(tx: AsyncConnection, ends: Ends) -> None:
    for generation_id, state in ends.items():
        await generation_rows.end(tx, generation_id, state)
