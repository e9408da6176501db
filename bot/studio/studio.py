"""What people can ask for. Every refusal is a UserError, and nothing is stored then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bot.catalog import Catalog, check_request
from bot.errors import UserError
from bot.jobs import (
    Attachment,
    GenerationRequest,
    Job,
    JobStatus,
    NewJob,
    Option,
    Picture,
    Route,
)
from bot.ledger import Usage
from bot.outages import Outages
from bot.pictures import InputPictures, PictureStore
from bot.quotas import Quotas
from bot.store import jobs, ledger, pictures
from bot.store.database import Database
from bot.store.pictures import Role

PATIENCE = 1.0  # seconds: Discord waits three for an answer, and SQLite may need some of them
HISTORY = 25  # jobs that a member sees in a list


class Closing(UserError):
    def __init__(self) -> None:
        super().__init__("I am being restarted. Nothing was charged; ask again in a minute.")


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


class Studio:
    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        *,
        limits: Quotas,
        outages: Outages,
        pictures: PictureStore,
        inputs: InputPictures,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when rows have changed that the worker should look at."""
        self.catalog = catalog
        self.outages = outages
        self._database = database
        self._limits = limits
        self._pictures = pictures
        self._inputs = inputs
        self._now = now
        self._wake = wake
        self._closed = False

    def close(self) -> None:
        """Take no more requests: the program is about to end."""
        self._closed = True

    async def request(
        self,
        user_id: int,
        route: Route,
        *,
        prompt: str,
        options: Mapping[str, Option],
        inputs: Sequence[Attachment] = (),
        model: str | None = None,
        may_be_unsafe: bool = False,
    ) -> Job:
        """Check the request, and in one transaction hold its price and store the job.

        The job waits until `confirm` tells that its answer arrived. `may_be_unsafe`: the place
        and the member are such that the safety checker may be off, if the operator allows it.
        """
        if self._closed:
            raise Closing
        self._limits.check_place(user_id, route)
        request = GenerationRequest(
            model=model or "",
            prompt=prompt.strip(),
            options=options,
            inputs=tuple(each.url for each in inputs),
        )
        spec = (
            self.catalog.get(model)
            if model
            else self.catalog.choose(request, down=self.outages.down)
        )
        check_request(request, spec)
        self._limits.check_safety(options, may_be_unsafe=may_be_unsafe)
        await self._inputs.glance(inputs)
        new = NewJob(
            user_id=user_id,
            route=route,
            request=replace(request, model=spec.key),
            price=spec.price * request.count,
            created_at=self._now(),
            provider=spec.provider,
            inputs=tuple(inputs),
            model_auto=model is None,
        )
        async with self._database.transaction(patience=PATIENCE) as tx:
            await self._limits.check_credits(tx, new.user_id, new.price, new.created_at)
            job = await jobs.add(tx, new)
            await ledger.hold(tx, job)
        return job

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
        async with self._database.transaction(patience=PATIENCE) as tx:
            job = await jobs.get(tx, job_id)
            if job is None or job.user_id != user_id:
                raise NoSuchJob
            if job.status.settled:
                raise JobEnded(job.status)
            spec = self.catalog.about(job.request.model)
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
            return await ledger.usage_of(view, user_id, self._now(), self._limits.allowance)

    async def jobs_of(self, user_id: int) -> list[Job]:
        """A member's active jobs, oldest first, then the newest that have ended."""
        async with self._database.reading() as view:
            active = await jobs.active_of(view, user_id)
            ended = await jobs.ended_of(view, user_id, HISTORY)
        return [*active, *ended][:HISTORY]

    async def history_of(self, user_id: int) -> list[Job]:
        """A member's last jobs that have ended, newest first."""
        async with self._database.reading() as view:
            return await jobs.ended_of(view, user_id, HISTORY)

    async def show(self, user_id: int, job_id: str) -> tuple[Job, list[tuple[Picture, Path]]]:
        """An own job, with the pictures that were kept of it and their files."""
        async with self._database.reading() as view:
            job = await jobs.get(view, job_id)
            if job is None or job.user_id != user_id:
                raise NoSuchJob
            kept = await pictures.of_job(view, job_id, Role.OUTPUT)
        return job, [(picture, self._pictures.path(picture)) for picture in kept]
