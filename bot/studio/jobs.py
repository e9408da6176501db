"""A member's own jobs: cancelled, listed and shown."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from bot.errors import UserError
from bot.jobs import Job, JobStatus, Picture
from bot.quotas import Member, may_see
from bot.services import Services
from bot.store import jobs, members, pictures, settlement
from bot.store.coordination import CANCELS, News
from bot.store.database import Transaction
from bot.store.pictures import Role
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from bot.studio.results import ResultUnavailable

log = logging.getLogger(__name__)

LISTED = 25  # jobs of a list or a completion: Discord shows no more choices
SHOWN_AT_ONCE = 2  # jobs whose pictures are being uploaded for /show


class NoSuchJob(UserError):
    def __init__(self) -> None:
        super().__init__("You have no job with this id. See /jobs for yours.")


class NotYourJob(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Only the member who requested this job, and the moderators of its channel, can cancel "
            "this job."
        )


class JobSettled(UserError):
    def __init__(self, status: JobStatus) -> None:
        super().__init__(
            "This job has already ended as {status}. There is nothing to cancel.", status=status
        )


class CannotCancel(UserError):
    def __init__(self, service: str) -> None:
        super().__init__(
            "{service} cannot cancel a running job. The picture will be delivered and charged.",
            service=service,
        )


class AlreadyShowing(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Another job of yours is being shown. Wait for its pictures, then try again."
        )


class TooManyShown(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The pictures of other jobs are being shown at the moment. Try again in a few seconds."
        )


class MemberJobs:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._showing: set[int] = set()  # members whose job is being shown

    async def cancel(self, user_id: int, job_id: str) -> Job:
        """Cancel an own job: at once while queued, else as soon as the provider can."""

        async def cancel(tx: Transaction) -> Job:
            return await self._cancel(tx, _own(await jobs.lock(tx, job_id), user_id))

        return await self._canceled(cancel)

    async def cancel_in(self, member: Member, channel_id: int, job_id: str) -> Job:
        """Cancel the job whose status message is in a channel, as its requester or a moderator.

        NotYourJob for anybody else. The requester may be blocked; a private job, and one of another
        channel, has no moderator.
        """

        async def cancel(tx: Transaction) -> Job:
            job = await jobs.lock(tx, job_id)
            if job is not None and job.user_id == member.user_id:
                return await self._cancel(tx, job)
            self._services.quotas.check_member(member)
            if job is None or job.route.private:
                raise NoSuchJob
            if not member.may_moderate or job.route.channel_id != channel_id:
                raise NotYourJob
            return await self._cancel(tx, job, moderator_id=member.user_id)

        canceled = await self._canceled(cancel)
        if canceled.user_id != member.user_id:
            log.info("cancel requested by a moderator")
        return canceled

    async def _canceled(self, cancel: Callable[[Transaction], Awaitable[Job]]) -> Job:
        job = await self._database.run(cancel, timeout=WRITE_LOCK_TIMEOUT)
        self._services.coordination.announce(News.ROWS, CANCELS)
        return job

    async def _cancel(self, tx: Transaction, job: Job, *, moderator_id: int | None = None) -> Job:
        """Cancel a locked job; the first who requests that is stored."""
        now = self._services.now()
        if job.status.settled:
            raise JobSettled(job.status)
        spec = self._services.catalog.about(job.request.model)
        if job.status is not JobStatus.QUEUED and not spec.cancels:
            raise CannotCancel(spec.service)
        if job.cancel_requested_at is None:
            job = await jobs.request_cancel(tx, job.id, now, moderator_id=moderator_id) or job
        if job.status is JobStatus.QUEUED:
            job = await settlement.cancel(tx, job.id, now)
        return job

    async def is_known(self, job_id: str) -> bool:
        """Return whether there is such a job, of any member."""
        async with self._database.reading() as view:
            return await jobs.get(view, job_id) is not None

    async def recent(self, user_id: int) -> list[Job]:
        """Return a member's active jobs, oldest first, then the newest settled ones."""
        async with self._database.reading() as view:
            active = await members.active_of(view, user_id, LISTED)
            ended = await members.ended_of(view, user_id, LISTED)
        return [*active, *ended][:LISTED]

    async def active(self, user_id: int) -> list[Job]:
        """Return a member's active jobs, oldest first."""
        async with self._database.reading() as view:
            return await members.active_of(view, user_id, LISTED)

    @asynccontextmanager
    async def shown(
        self, member: Member, channel_id: int, job_id: str
    ) -> AsyncIterator[tuple[Job, list[Picture]]]:
        """Yield a job that the member may see, with its result pictures, until they are uploaded.

        ResultUnavailable for every job that the member may not see, and for unknown ones.
        """
        with self.uploading(member.user_id):
            async with self._database.reading() as view:
                job = await jobs.get(view, job_id)
                if job is None or not may_see(member, channel_id, job):
                    raise ResultUnavailable
                stored = await pictures.of_job(view, job_id, Role.OUTPUT)
            yield job, stored

    @contextmanager
    def uploading(self, user_id: int) -> Iterator[None]:
        """Reserve the upload of a job's stored pictures to a member.

        Nobody waits for an upload of others: one more than allowed is refused.
        """
        if user_id in self._showing:
            raise AlreadyShowing
        if len(self._showing) >= SHOWN_AT_ONCE:
            raise TooManyShown
        self._showing.add(user_id)
        try:
            yield
        finally:
            self._showing.discard(user_id)


def _own(job: Job | None, user_id: int) -> Job:
    if job is None or job.user_id != user_id:
        raise NoSuchJob
    return job
