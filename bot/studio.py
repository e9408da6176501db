"""What people can ask for. Every refusal is a UserError, and nothing is stored then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bot.catalog import Catalog, ModelSpec, check_request
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
from bot.ledger import Usage, credits_text, month_of, next_month
from bot.pictures import InputPictures, PictureStore
from bot.store import jobs, ledger, pictures
from bot.store.database import Database, Transaction
from bot.store.pictures import Role

PATIENCE = 1.0  # seconds: Discord waits three for an answer, and SQLite may need some of them
HISTORY = 25  # jobs that a member sees in a list


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows. Amounts are thousandths of a credit; None is no limit."""

    servers: frozenset[int] = frozenset()  # empty: all, and direct messages
    blocked_users: frozenset[int] = frozenset()
    budget: int | None = None  # of everybody together, in a month
    allowance: int | None = None  # of one member, in a month
    allow_unsafe: bool = False
    user_install: bool = False  # members may have it by an install of their own


class NotEnoughCredits(UserError):
    def __init__(self, *, price: int, left: int, resets_at: datetime) -> None:
        super().__init__(
            f"This costs {credits_text(price)} credits and you have {credits_text(left)} left "
            f"this month. Ask for fewer pictures, or wait until {_day(resets_at)}."
        )


class BudgetExhausted(UserError):
    def __init__(self, *, resets_at: datetime) -> None:
        super().__init__(
            f"This bot's budget for the month is used up. It starts anew on {_day(resets_at)}."
        )


class ShutOut(UserError):
    """The operator does not serve this member, or not here."""


class Closing(UserError):
    def __init__(self) -> None:
        super().__init__("I am being restarted. Nothing was charged; ask again in a minute.")


class UnsafeRefused(UserError):
    def __init__(self, *, allowed: bool) -> None:
        super().__init__(
            "Only those who manage the server may switch the safety checker off, and only in an "
            "age-restricted channel. Leave safety_checker out."
            if allowed
            else "The safety checker cannot be switched off here. Leave safety_checker out."
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
        limits: Limits,
        pictures: PictureStore,
        inputs: InputPictures,
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`wake` is called when rows have changed that the worker should look at."""
        self.catalog = catalog
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
    ) -> Accepted:
        """Check the request, and in one transaction hold its price and store the job.

        The job waits until `confirm` tells that its answer arrived. `may_be_unsafe`: the place
        and the member are such that the safety checker may be off, if the operator allows it.
        """
        if self._closed:
            raise Closing
        self._check_place(user_id, route)
        request = GenerationRequest(
            model=model or "",
            prompt=prompt.strip(),
            options=options,
            inputs=tuple(each.url for each in inputs),
        )
        spec = self.catalog.get(model) if model else self.catalog.choose(request)
        check_request(request, spec)
        if options.get("safety_checker") is False and not (
            self._limits.allow_unsafe and may_be_unsafe
        ):
            raise UnsafeRefused(allowed=self._limits.allow_unsafe)
        await self._inputs.glance(inputs)
        new = NewJob(
            user_id=user_id,
            route=route,
            request=replace(request, model=spec.key),
            price=spec.price * request.count,
            created_at=self._now(),
            inputs=tuple(inputs),
        )
        async with self._database.transaction(patience=PATIENCE) as tx:
            await self._check_credits(tx, new)
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

    def _check_place(self, user_id: int, route: Route) -> None:
        if user_id in self._limits.blocked_users:
            raise ShutOut("The people who run this bot have shut you out of it. Ask them why.")
        if not self._serves(route.server_id):
            raise ShutOut("This bot does not work here. Ask the people who run it to allow it.")

    def _serves(self, server_id: int) -> bool:
        limits = self._limits
        if not limits.servers or server_id in limits.servers:
            return True
        return server_id == 0 and limits.user_install

    async def _check_credits(self, tx: Transaction, new: NewJob) -> None:
        """In the transaction of the hold, so that two requests cannot both take the last credit."""
        limits, month, resets_at = (
            self._limits,
            month_of(new.created_at),
            next_month(new.created_at),
        )
        if limits.budget is not None:
            left = limits.budget + await ledger.sum_of_month(tx, month)
            if new.price > left:
                raise BudgetExhausted(resets_at=resets_at)
        if limits.allowance is not None:
            left = limits.allowance + await ledger.sum_of_month(tx, month, user_id=new.user_id)
            if new.price > left:
                raise NotEnoughCredits(price=new.price, left=left, resets_at=resets_at)


def _day(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:D>"
