"""Settlement: status and money move together, by one function for each outcome.

Nothing else writes a settled status, a release, a capture or an adjustment; a test holds that.
Each function takes the transaction of its caller, so that pictures and the ends of generations
are stored with the outcome or not at all. MoveRefused if the job is settled already.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus, Picture
from bot.ledger import Cost, EntryKind
from bot.store import generations as generation_rows
from bot.store import jobs, ledger
from bot.store import pictures as picture_rows
from bot.store.pictures import Role

# The reasons of adjustments, which the audit compares.
CORRECTED = "cost reported after settlement"
OVERDUE = "made after the time-out: "  # and the first generation's remote id

Ends = Mapping[int, JobStatus]  # by the generation's row id; a generation left open has none


async def succeed(
    tx: AsyncConnection,
    job: Job,
    now: datetime,
    *,
    cost: Cost | None,
    pictures: Sequence[Picture],
    ends: Ends,
) -> Job:
    """Charge a job that has at least one picture.

    Without a reported `cost`, the price of the pictures that were made is charged as an estimate.
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
        reason=None,
    )
    await picture_rows.attach(tx, job.id, Role.OUTPUT, pictures, now)
    await _end_generations(tx, ends)
    await _release(tx, settled, now)
    entry = ledger.entry_of(settled, EntryKind.CAPTURE, -charged.amount, now, details=charged)
    await ledger.append(tx, entry)
    return settled


async def fail(
    tx: AsyncConnection,
    job_id: str,
    now: datetime,
    *,
    reason: Reason,
    remark: str | None = None,
    ends: Ends | None = None,
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
    return failed


async def cancel(
    tx: AsyncConnection, job_id: str, now: datetime, *, ends: Ends | None = None
) -> Job:
    """Cancel a job, as the member requested, and release its hold."""
    canceled = await jobs.move(
        tx, job_id, JobStatus.CANCELED, settled_at=now, lease_until=None, reason=None
    )
    await _end_generations(tx, ends or {})
    await _release(tx, canceled, now)
    return canceled


async def withdraw(tx: AsyncConnection, job_id: str, now: datetime) -> Job:
    """Cancel a job whose reply never reached Discord: nothing remains to be delivered."""
    canceled = await jobs.move(
        tx, job_id, JobStatus.CANCELED, settled_at=now, lease_until=None, delivered_at=now
    )
    await _release(tx, canceled, now)
    return canceled


async def correct_cost(tx: AsyncConnection, job_id: str, cost: Cost, now: datetime) -> None:
    """Replace an estimated cost by the reported one, once."""
    stored = await jobs.get(tx, job_id)
    if stored is None or stored.cost is None or not stored.estimated:
        return  # corrected already
    await jobs.change(tx, job_id, cost=cost.amount, estimated=False)
    await _adjust(tx, stored, stored.cost - cost.amount, now, reason=CORRECTED, cost=cost)


async def charge_overdue(
    tx: AsyncConnection,
    job: Job,
    now: datetime,
    *,
    cost: Cost | None,
    pictures: Sequence[Picture],
    generations: Iterable[Generation],
) -> None:
    """Charge pictures that were finished after `JOB_TIMEOUT`, and let them be delivered."""
    charged = cost or estimate(job, len(pictures))
    finished = list(generations)
    stored = await jobs.get(tx, job.id) or job  # an earlier overdue picture may have been charged
    already = await picture_rows.of_job(tx, job.id, Role.OUTPUT)
    await picture_rows.attach(tx, job.id, Role.OUTPUT, pictures, now, after=len(already))
    await _end_generations(tx, {each.id: JobStatus.SUCCEEDED for each in finished})
    # One adjustment for each overdue end: adjustments are unique by job and reason.
    reason = f"{OVERDUE}{finished[0].remote_id}"
    await _adjust(tx, job, -charged.amount, now, reason=reason, cost=charged)
    await jobs.change(
        tx,
        job.id,
        cost=(stored.cost or 0) + charged.amount,
        overdue_at=now,
        delivered_at=None,
        deliver_after=None,
        delivery_attempts=0,
        delivery_started_at=None,
    )


def estimate(job: Job, pictures: int) -> Cost:
    """Return the price of as many pictures as were made, at most as many as were requested."""
    made = min(pictures, job.request.count)
    return Cost(job.price * made // job.request.count, {"estimated": "yes"})


async def _release(tx: AsyncConnection, job: Job, now: datetime) -> None:
    """Return the whole hold."""
    await ledger.append(tx, ledger.entry_of(job, EntryKind.RELEASE, job.price, now))


async def _adjust(
    tx: AsyncConnection, job: Job, amount: int, now: datetime, *, reason: str, cost: Cost
) -> None:
    entry = ledger.entry_of(job, EntryKind.ADJUSTMENT, amount, now, reason=reason, details=cost)
    await ledger.append(tx, entry)


async def _end_generations(tx: AsyncConnection, ends: Ends) -> None:
    for generation_id, state in ends.items():
        await generation_rows.end(tx, generation_id, state)
