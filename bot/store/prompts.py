"""Prompts that are removed because of their age: found by the time of the delivery, and blanked.

The jobs stay, as do their pictures, amounts and favourites.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Integer, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import JobStatus
from bot.store.database import read_note, write_note
from bot.store.tables import Utc, jobs

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
REMOVED_UNTIL = "prompts_removed_until"  # a note: no job that was delivered before has a prompt
OLD = (
    select(jobs.c.id, jobs.c.delivered_at, jobs.c.options, jobs.c.inputs)
    .where(
        jobs.c.status == bindparam("of_status"),
        jobs.c.delivered_at >= bindparam("delivered_since", type_=Utc),
        jobs.c.delivered_at < bindparam("delivered_before", type_=Utc),
        jobs.c.created_at < bindparam("created_before", type_=Utc),
        jobs.c.settled_at < bindparam("settled_before", type_=Utc),
        jobs.c.prompt != "",
    )
    .order_by(jobs.c.delivered_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update()  # a deletion may blank the same row
)
BLANK = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values({jobs.c.prompt: "", jobs.c.expanded_prompt: None, jobs.c.remark: None})
)


async def removed_until(view: AsyncConnection) -> datetime:
    """Return the time of delivery before which all prompts have been removed."""
    note = await read_note(view, REMOVED_UNTIL)
    return BEGINNING if note is None else datetime.fromisoformat(note)


async def note_removed(tx: AsyncConnection, until: datetime) -> None:
    """Store that the prompts of all jobs that were delivered before `until` have been removed."""
    await write_note(tx, REMOVED_UNTIL, until.isoformat())


async def remove(
    tx: AsyncConnection,
    status: JobStatus,
    *,
    delivered_since: datetime,
    delivered_before: datetime,
    created_before: datetime,
    settled_before: datetime,
    limit: int,
) -> list[datetime]:
    """Remove the prompts of some jobs, in the order of their deliveries; return those times.

    A list of `limit` times says that there may be more jobs: the next call begins with its last.
    """
    values = {
        "of_status": status,
        "delivered_since": delivered_since,
        "delivered_before": delivered_before,
        "created_before": created_before,
        "settled_before": settled_before,
        "limit": limit,
    }
    found = (await tx.execute(OLD, values)).all()
    if found:
        await tx.execute(
            BLANK,
            [
                {
                    "job_id": row.id,
                    "options": without_texts(row.options),
                    "inputs": without_names(row.inputs),
                }
                for row in found
            ],
        )
    return [row.delivered_at for row in found]


def without_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a request without those that are the member's words."""
    return {name: value for name, value in options.items() if name != "negative_prompt"}


def without_names(inputs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return attachments, as the column has them, without their names and addresses."""
    return [{**each, "name": "", "url": ""} for each in inputs]
