"""A member's own jobs: who may cancel which, what is listed, and what is shown at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.catalog import Catalog
from bot.errors import UserError
from bot.jobs import JobStatus, NewJob
from bot.ledger import balance
from bot.providers.oxen.model import oxen_spec
from bot.quotas import Member, MemberBlocked, Quotas
from bot.services import Services
from bot.store import ledger
from bot.store.coordination import CANCELS, News
from bot.store.database import Database
from bot.studio.jobs import (
    LISTED,
    AlreadyShowing,
    CannotCancel,
    JobSettled,
    MemberJobs,
    NoSuchJob,
    NotYourJob,
    TooManyShown,
)
from bot.studio.results import ResultUnavailable
from tests.support.clock import Moment
from tests.support.rows import NOW, new_job, one
from tests.support.studio import (
    ADA,
    BEN,
    CHANNEL,
    MODERATOR,
    NOBODY,
    failed,
    made,
    posted,
    running,
    stored,
    succeeded,
)


@pytest.fixture
def use_case(services: Services) -> MemberJobs:
    return MemberJobs(services)


@pytest.fixture
def heard(services: Services) -> list[str]:
    """The announcements to workers."""
    found: list[str] = []
    services.coordination.listen(News.ROWS, found.append)
    return found


def private(new: NewJob) -> NewJob:
    return replace(new, route=replace(new.route, private=True))


def uncancelled(services: Services) -> MemberJobs:
    """Return the use case with a service that cannot cancel a running job."""
    spec = replace(oxen_spec(price=1), cancels=False, service="A service")
    return MemberJobs(replace(services, catalog=Catalog([spec])))


async def test_a_queued_job_is_canceled_at_once_and_its_hold_released(
    database: Database, use_case: MemberJobs, heard: list[str], clock: Moment
) -> None:
    job = await one(database)
    now = clock.move(seconds=5)

    canceled = await use_case.cancel(1, job.id)

    assert canceled == await stored(database, job.id)
    assert (canceled.status, canceled.settled_at) == (JobStatus.CANCELED, now)
    assert (canceled.cancel_requested_at, canceled.canceled_by) == (now, None)
    assert heard == [CANCELS]
    async with database.reading() as view:
        assert balance(await ledger.entries_of(view, job.id)) == 0


async def test_a_running_job_goes_on_until_the_service_has_stopped_it(
    database: Database, use_case: MemberJobs, heard: list[str], clock: Moment
) -> None:
    job = await running(database)
    first = clock.move(seconds=5)
    requested = await use_case.cancel(1, job.id)
    clock.move(seconds=5)
    again = await use_case.cancel(1, job.id)

    assert (requested.status, requested.cancel_requested_at) == (JobStatus.RUNNING, first)
    assert again == requested == await stored(database, job.id)
    assert heard == [CANCELS, CANCELS]


async def test_a_service_that_cannot_cancel_is_named_unless_the_job_waits(
    database: Database, services: Services
) -> None:
    job, waiting = await running(database), await one(database)
    use_case = uncancelled(services)

    with pytest.raises(CannotCancel, match=r"^A service cannot cancel a running job"):
        await use_case.cancel(1, job.id)
    assert (await stored(database, job.id)).cancel_requested_at is None
    assert (await use_case.cancel(1, waiting.id)).status is JobStatus.CANCELED


async def test_a_job_that_has_ended_is_not_canceled(
    database: Database, use_case: MemberJobs, heard: list[str]
) -> None:
    for job, status in (
        (await succeeded(database), "succeeded"),
        (await failed(database), "failed"),
    ):
        for cancel in (use_case.cancel(1, job.id), use_case.cancel_in(ADA, CHANNEL, job.id)):
            with pytest.raises(JobSettled, match=f"already ended as {status}"):
                await cancel
    assert heard == []


async def test_the_command_cancels_own_jobs_alone(
    database: Database, use_case: MemberJobs, heard: list[str]
) -> None:
    job = await one(database)

    for user_id, job_id in ((2, job.id), (1, NOBODY)):
        with pytest.raises(NoSuchJob, match="You have no job with this id"):
            await use_case.cancel(user_id, job_id)
    assert (await stored(database, job.id)).status is JobStatus.QUEUED
    assert heard == []


async def test_a_moderator_cancels_a_public_job_of_the_channel(
    database: Database, use_case: MemberJobs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bot.studio.jobs")
    job = await running(database)

    canceled = await use_case.cancel_in(MODERATOR, CHANNEL, job.id)

    assert (canceled.canceled_by, canceled.cancel_requested_at) == (2, NOW)
    assert [each.message for each in caplog.records] == ["cancel requested by a moderator"]


@pytest.mark.parametrize(
    ("member", "channel", "refusal"),
    [
        (BEN, CHANNEL, NotYourJob),
        (MODERATOR, CHANNEL + 1, NotYourJob),
        (replace(MODERATOR, user_id=3), CHANNEL, MemberBlocked),
        (replace(BEN, user_id=3), CHANNEL, MemberBlocked),
    ],
)
async def test_nobody_else_cancels_a_job(
    database: Database,
    services: Services,
    member: Member,
    channel: int,
    refusal: type[UserError],
) -> None:
    use_case = MemberJobs(replace(services, quotas=Quotas(blocked_users=frozenset({3}))))
    job = await one(database)

    with pytest.raises(refusal, match=r"."):
        await use_case.cancel_in(member, channel, job.id)
    assert (await stored(database, job.id)).status is JobStatus.QUEUED


async def test_a_private_or_unknown_job_has_no_moderator(
    database: Database, use_case: MemberJobs
) -> None:
    job = await one(database, private(new_job()))

    for job_id in (job.id, NOBODY):
        with pytest.raises(NoSuchJob):
            await use_case.cancel_in(MODERATOR, CHANNEL, job_id)


async def test_the_requester_cancels_by_the_button_also_when_blocked(
    database: Database, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bot.studio.jobs")
    use_case = MemberJobs(replace(services, quotas=Quotas(blocked_users=frozenset({1}))))
    of_channel, elsewhere = await one(database), await one(database, private(new_job()))

    for job, channel in ((of_channel, CHANNEL), (elsewhere, CHANNEL + 1)):
        canceled = await use_case.cancel_in(ADA, channel, job.id)
        assert (canceled.status, canceled.canceled_by) == (JobStatus.CANCELED, None)
    assert not caplog.records


async def test_a_job_is_known_to_everybody_by_its_id_alone(
    database: Database, use_case: MemberJobs
) -> None:
    job = await one(database)

    assert await use_case.is_known(job.id) is True
    assert await use_case.is_known(NOBODY) is False


async def test_active_jobs_come_first_and_a_list_has_25(
    database: Database, use_case: MemberJobs
) -> None:
    minutes = [NOW + timedelta(minutes=each) for each in range(LISTED + 2)]
    ended = [await succeeded(database, new_job(at=at)) for at in minutes[:3]]
    active = [await one(database, new_job(at=at)) for at in (minutes[4], minutes[3])]
    await one(database, new_job(2))

    newest, oldest = active
    found = [oldest.id, newest.id, *(each.id for each in reversed(ended))]
    assert [each.id for each in await use_case.recent(1)] == found
    assert [each.id for each in await use_case.active(1)] == found[:2]

    more = [await one(database, new_job(at=at)) for at in minutes[5 : LISTED + 1]]
    assert [each.id for each in await use_case.recent(1)][-3:] == [more[-1].id, *found[2:4]]
    await one(database, new_job(at=minutes[-1]))
    await one(database, new_job(at=minutes[-1]))
    for listed in (await use_case.recent(1), await use_case.active(1)):
        assert len(listed) == LISTED
        assert listed[0].id == oldest.id


async def test_a_result_is_shown_with_its_pictures_where_it_may_be_seen(
    database: Database, use_case: MemberJobs
) -> None:
    pictures = made("one", "two")
    job = await posted(database, outputs=pictures)

    for member, channel in ((ADA, 0), (BEN, CHANNEL)):
        async with use_case.shown(member, channel, job.id) as shown:
            assert shown == (job, pictures)
    for channel, job_id in ((CHANNEL + 1, job.id), (CHANNEL, NOBODY)):
        with pytest.raises(ResultUnavailable):
            async with use_case.shown(BEN, channel, job_id):
                pass


async def test_two_members_are_shown_a_job_at_once(
    database: Database, use_case: MemberJobs
) -> None:
    job = await posted(database)
    async with use_case.shown(ADA, CHANNEL, job.id):
        with pytest.raises(AlreadyShowing, match="Another job of yours is being shown"):
            async with use_case.shown(ADA, CHANNEL, job.id):
                pass
        with pytest.raises(ResultUnavailable):  # which occupies nothing afterwards
            async with use_case.shown(BEN, 0, job.id):
                pass
        with use_case.uploading(2):
            with pytest.raises(AlreadyShowing), use_case.uploading(2):
                pass
            with pytest.raises(TooManyShown, match="Try again in a few seconds"):
                async with use_case.shown(Member(3), CHANNEL, job.id):
                    pass
        with use_case.uploading(3):
            pass
    with use_case.uploading(1):
        pass
