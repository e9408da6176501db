"""may_see: the members who may see a job, by the channel in which they act."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.jobs import Job, JobStatus
from bot.quotas import Member, may_see
from tests.support.rows import NOW, new_job

CHANNEL, OTHER, THREAD = 20, 21, 22
ADA, BEN = Member(1), Member(2)
NEW = new_job(ADA.user_id)
RESULT = Job(
    NEW.id,
    JobStatus.SUCCEEDED,
    NEW.user_id,
    NEW.route,
    NEW.request,
    NEW.provider,
    NEW.price,
    NEW.created_at,
    result_message_id=50,
    result_channel_id=CHANNEL,
)
PRIVATE = replace(RESULT, route=replace(NEW.route, private=True))
HIDDEN = replace(RESULT, hidden_at=NOW + timedelta(days=1))
UNSHOWN = replace(RESULT, result_message_id=None, delivered_at=NOW)  # undeliverable
ELSEWHERE = replace(RESULT, result_channel_id=0)
OF_OLD_VERSION = replace(RESULT, result_channel_id=None)


@pytest.mark.parametrize("job", [RESULT, PRIVATE, HIDDEN, UNSHOWN, ELSEWHERE, OF_OLD_VERSION])
@pytest.mark.parametrize("channel", [CHANNEL, OTHER, 0])
def test_the_requester_sees_everything_everywhere(job: Job, channel: int) -> None:
    assert may_see(ADA, channel, job)


@pytest.mark.parametrize("job", [PRIVATE, HIDDEN, UNSHOWN, ELSEWHERE])
@pytest.mark.parametrize("channel", [CHANNEL, 0])
def test_others_see_no_private_or_deleted_result(job: Job, channel: int) -> None:
    assert not may_see(BEN, channel, job)
    assert not may_see(replace(BEN, parent_channel_id=CHANNEL), channel, job)


@pytest.mark.parametrize("job", [RESULT, OF_OLD_VERSION])
def test_others_see_a_public_result_in_its_channel_and_its_threads(job: Job) -> None:
    assert may_see(BEN, CHANNEL, job)
    assert may_see(replace(BEN, parent_channel_id=CHANNEL), THREAD, job)
    assert not may_see(BEN, OTHER, job)
    assert not may_see(replace(BEN, parent_channel_id=OTHER), THREAD, job)
    assert not may_see(BEN, 0, job)


def test_a_result_of_a_thread_is_not_seen_in_its_parent_channel() -> None:
    assert not may_see(BEN, CHANNEL, replace(RESULT, result_channel_id=THREAD))
