"""The rules of a job's columns: status, outcome, pictures and generations agree."""

from collections.abc import Iterator

from bot.errors import Reason
from bot.jobs import SETTLED, JobStatus
from bot.pseudonyms import is_pseudonym
from bot.store.audit.lines import STATUSES, JobLine, Record

STATES = frozenset(str(status) for status in SETTLED)


def check_outcome(record: Record) -> Iterator[str]:
    """Return the findings about one job."""
    job = record.job
    if job.status not in STATUSES:
        yield f"“{job.status}” is no status"
        return
    if job.count < 1:
        yield f"asks for {job.count} pictures"
    if job.guild_id is not None and job.account.server_id not in (0, job.guild_id):
        yield f"counts in server {job.account.server_id}, and was asked for in {job.guild_id}"
    yield from _generations(record)
    if sorted(record.outputs) != [*range(len(record.outputs))]:
        yield f"has pictures at the positions {', '.join(map(str, sorted(record.outputs)))}"
    if job.settled:
        yield from _settled(record)
    else:
        yield from _active(record)


def _generations(record: Record) -> Iterator[str]:
    job = record.job
    for each in record.generations:
        if each.provider != job.provider:
            yield f"runs at {job.provider}, and has generation {each.id} at {each.provider}"
        if each.state is not None and each.state not in STATES:
            yield f"has generation {each.id} with the end “{each.state}”, which is none"
        if each.state is not None and not job.settled:
            yield f"is {job.status}, and has generation {each.id} that is {each.state}"


def _active(record: Record) -> Iterator[str]:
    job = record.job
    names = {
        "a time of settlement": job.settled_at,
        "a cost": job.cost,
        "a time of delivery": job.delivered_at,
        "an overdue result": job.overdue_at,
        "pictures": record.outputs or None,
    }
    yield from (f"is {job.status}, and has {name}" for name, value in names.items() if value)
    running = job.status == JobStatus.RUNNING
    if running and not record.generations:
        yield "is running without a generation"
    if running and job.running_at is None:
        yield "is running since no time"
    if not running and record.generations:
        yield f"is {job.status}, and has generation {record.generations[0].id}"
    if not running and job.running_at is not None:
        yield f"is {job.status}, and was running before"


def _settled(record: Record) -> Iterator[str]:
    job = record.job
    if job.settled_at is None:
        yield f"is {job.status} without a time of settlement"
    if (job.status == JobStatus.FAILED) != (job.reason is not None):
        # A canceled job keeps the reason for which its request was postponed.
        if job.status == JobStatus.FAILED:
            yield "has failed without a reason"
        elif job.status == JobStatus.SUCCEEDED:
            yield f"has succeeded with the reason {job.reason}"
    if job.status == JobStatus.SUCCEEDED or job.overdue_at is not None:
        yield from _with_pictures(record)
    else:
        yield from _without_pictures(record)


def _with_pictures(record: Record) -> Iterator[str]:
    how = _how(record.job)
    is_erased = is_pseudonym(record.job.account.user_id)
    if is_erased and record.outputs:
        yield "belongs to a deleted member, and has pictures"
    if not is_erased and not record.outputs:
        yield f"{how} without a picture"
    if not record.made:
        yield f"{how} without a generation that has succeeded"
    if record.job.cost is None:
        yield f"{how} without a cost"


def _without_pictures(record: Record) -> Iterator[str]:
    job = record.job
    if record.outputs:
        yield f"has {len(record.outputs)} pictures, and is {job.status}"
    if record.made and job.reason != Reason.NO_PICTURE:
        yield f"has generation {record.made[0].id} that has succeeded, and is {job.status}"
    if job.cost is not None:
        yield f"has a cost, and is {job.status}"


def _how(job: JobLine) -> str:
    return "has succeeded" if job.status == JobStatus.SUCCEEDED else "has an overdue result"
