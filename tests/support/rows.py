"""Jobs for tests of the store, created in one line as by the studio."""

from datetime import UTC, datetime, timedelta

from bot.jobs import GenerationRequest, Job, NewJob, Option, Route
from bot.quotas import Quotas
from bot.store import holds, jobs
from bot.store.database import Database, Transaction

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def new_job(
    user_id: int = 1,
    *,
    prompt: str = "a fox",
    price: int = 7500,
    at: datetime = NOW,
    server_id: int = 10,
    **options: Option,
) -> NewJob:
    route = Route(
        channel_id=20,
        account_server_id=server_id,
        application_id=30,
        interaction_token="interaction-token",
        token_expires_at=at + timedelta(minutes=15),
    )
    request = GenerationRequest("oxen", prompt, options)
    return NewJob(user_id, route, request, price, at, provider="oxen")


async def add(tx: Transaction, new: NewJob, *, message_id: int | None = 40) -> Job:
    """Store a job with a hold, and confirm the reply unless `message_id` is None."""
    job = await jobs.add(tx, new)
    job = (await holds.hold(tx, job, Quotas())).job
    if message_id is not None:
        job = await jobs.confirm_reply(tx, job.id, message_id) or job
    return job


async def one(database: Database, new: NewJob | None = None, **given: int | None) -> Job:
    async with database.transaction() as tx:
        return await add(tx, new or new_job(), **given)
