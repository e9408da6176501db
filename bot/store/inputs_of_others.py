"""The pictures of a member among the inputs of others: names, addresses and authors are blanked.

The pictures themselves go with bot.store.erasure.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.jobs import SETTLED
from bot.store.erasure_requests import UNSTORED, USER, Erasure
from bot.store.pictures import Role
from bot.store.tables import job_pictures, jobs

_OWNED: BindParameter[Any] = bindparam("owned", expanding=True)
_TAKEN: BindParameter[Any] = bindparam("taken", expanding=True)
_JOBS: BindParameter[Any] = bindparam("job_ids", expanding=True)
NO_INPUT = {"name": "", "url": "", "sha256": None, "author_id": None}  # in an attachment

_is_detached = or_(
    job_pictures.c.sha256.in_(_OWNED),
    and_(job_pictures.c.author_id == USER, job_pictures.c.sha256.in_(_TAKEN)),
)
INPUTS_NEVER_STORED = select(jobs.c.id, jobs.c.inputs).where(UNSTORED, jobs.c.status.in_(SETTLED))
INPUTS_OF_OTHERS = (
    select(jobs.c.id, jobs.c.inputs, job_pictures.c.position)
    .join(jobs, jobs.c.id == job_pictures.c.job_id)
    .where(job_pictures.c.role == Role.INPUT, job_pictures.c.job_id.not_in(_JOBS), _is_detached)
    .order_by(jobs.c.id)
    .with_for_update(of=jobs)
)
BLANK_INPUTS = (
    update(jobs).where(jobs.c.id == bindparam("job_id")).values(inputs=bindparam("blanked"))
)


async def blank(
    tx: AsyncConnection,
    erasure: Erasure,
    job_ids: Sequence[str],
    *,
    owned: Collection[str],
    taken: Collection[str],
) -> None:
    """Blank pictures in all jobs but those of `job_ids`, which are blanked as a whole.

    `owned` are pictures of the member, `taken` those that were in messages of the member.
    """
    values = {
        "user": erasure.user_id,
        "job_ids": [*job_ids],
        "owned": [*owned],
        "taken": [*taken],
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for job_id, inputs, position in await tx.execute(INPUTS_OF_OTHERS, values):
        blanked = found.setdefault(job_id, [*inputs])
        if position < len(blanked):
            blanked[position] = {**blanked[position], **NO_INPUT}
    await replace(tx, found)


async def never_stored(
    connection: AsyncConnection, erasure: Erasure
) -> Mapping[str, list[dict[str, Any]]]:
    """Return the inputs of jobs of others that never got the member's pictures, without those."""
    rows = await connection.execute(INPUTS_NEVER_STORED, erasure.values)
    return {
        job_id: [
            {**each, **NO_INPUT} if each.get("author_id") == erasure.user_id else each
            for each in inputs
        ]
        for job_id, inputs in rows
    }


async def replace(tx: AsyncConnection, inputs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Replace the attachments of jobs, which are given by their ids."""
    if inputs:
        rows = [{"job_id": job_id, "blanked": blanked} for job_id, blanked in inputs.items()]
        await tx.execute(BLANK_INPUTS, rows)
