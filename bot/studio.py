"""What people can ask for. Every refusal is a UserError, and nothing is stored then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.catalog import Catalog, ModelSpec, check_request
from bot.errors import UserError
from bot.jobs import GenerationRequest, Job, JobStatus, NewJob, Option, Route
from bot.ledger import Usage, credits_text, month_of, next_month
from bot.store import jobs, ledger
from bot.store.database import Database

HISTORY = 25  # jobs that a member sees in a list


class NotEnoughCredits(UserError):
    def __init__(self, *, price: int, left: int, resets_at: datetime) -> None:
        super().__init__(
            f"This costs {credits_text(price)} credits and you have {credits_text(left)} left "
            f"this month. Ask for fewer pictures, or wait until <t:{int(resets_at.timestamp())}:D>."
        )


class NoSuchJob(UserError):
    def __init__(self) -> None:
        super().__init__("You have no such job. See /jobs for yours.")


class JobEnded(UserError):
    def __init__(self, status: JobStatus) -> None:
        super().__init__(f"That job has ended already: it is {status}. There is nothing to cancel.")


class CannotStop(UserError):
    def __init__(self, service: str) -> None:
        super().__init__(
            f"{service} cannot stop a picture it has begun; it will be delivered and charged."
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was taken. `spec` is the model's, `chosen` tells that Easel chose it."""

    job: Job
    spec: ModelSpec
    chosen: bool


class Studio:
    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        *,
        allowance: int | None,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`allowance`: thousandths of a credit a member may use in a month, None without limit.

        `wake` is called when rows have changed that the worker should look at.
        """
        self.catalog = catalog
        self._database = database
        self._allowance = allowance
        self._now = now
        self._wake = wake

    async def request(
        self,
        user_id: int,
        route: Route,
        *,
        prompt: str,
        options: Mapping[str, Option],
        model: str | None = None,
    ) -> Accepted:
        """Check the request, and in one transaction hold its price and store the job.

        The job waits until `confirm` tells that its answer arrived.
        """
        request = GenerationRequest(model=model or "", prompt=prompt.strip(), options=options)
        spec = self.catalog.get(model) if model else self.catalog.choose(request)
        check_request(request, spec)
        new = NewJob(
            user_id=user_id,
            route=route,
            request=replace(request, model=spec.key),
            price=spec.price * request.count,
            created_at=self._now(),
        )
        async with self._database.transaction() as tx:
            if self._allowance is not None:
                used = -await ledger.sum_of_month(tx, user_id, month_of(new.created_at))
                self._check_allowance(new, self._allowance - used)
            job = await jobs.add(tx, new)
            await ledger.hold(tx, job)
        return Accepted(job, spec, chosen=model is None)

    async def confirm(self, job_id: str, message_id: int) -> None:
        """The answer has arrived: the worker may claim the job."""
        async with self._database.transaction() as tx:
            await jobs.confirm(tx, job_id, message_id)
        self._wake()

    async def withdraw(self, job_id: str) -> None:
        """Discord surely did not show the answer: cancel the job as if it had not been asked."""
        now = self._now()
        async with self._database.transaction() as tx:
            job = await jobs.move(tx, job_id, JobStatus.CANCELED, settled_at=now, delivered_at=now)
            await ledger.release(tx, job, now)

    async def cancel(self, user_id: int, job_id: str) -> Job:
        """Cancel an own job: at once while it is queued, else as soon as its provider can."""
        now = self._now()
        async with self._database.transaction() as tx:
            job = await jobs.get(tx, job_id)
            if job is None or job.user_id != user_id:
                raise NoSuchJob
            if job.status.settled:
                raise JobEnded(job.status)
            spec = self.catalog.get(job.request.model)
            if job.status is not JobStatus.QUEUED and not spec.cancels:
                raise CannotStop(spec.service)
            if job.status is JobStatus.QUEUED:
                job = await jobs.move(
                    tx, job_id, JobStatus.CANCELED, settled_at=now, cancel_requested_at=now
                )
                await ledger.release(tx, job, now)
            elif job.cancel_requested_at is None:
                job = await jobs.note(tx, job_id, cancel_requested_at=now) or job
        self._wake()
        return job

    async def usage(self, user_id: int) -> Usage:
        async with self._database.reading() as view:
            return await ledger.usage_of(view, user_id, self._now(), self._allowance)

    async def jobs_of(self, user_id: int) -> list[Job]:
        """A member's active jobs, oldest first, then the newest that have ended."""
        async with self._database.reading() as view:
            active = await jobs.active_of(view, user_id)
            recent = await jobs.recent_of(view, user_id, HISTORY)
        ended = [job for job in recent if job.status.settled]
        return [*active, *ended][:HISTORY]

    def _check_allowance(self, new: NewJob, left: int) -> None:
        if new.price > left:
            raise NotEnoughCredits(price=new.price, left=left, resets_at=next_month(new.created_at))
