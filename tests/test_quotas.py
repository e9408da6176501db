"""The quotas that need no database: their boundaries, and the times in their sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.jobs import Job, JobStatus
from bot.quotas import (
    LOSS_WINDOW,
    MAX_LOSSES,
    Member,
    OthersPicture,
    PictureOrigin,
    Quotas,
    TooManyInputBytes,
    TooManyLosses,
    check_input_bytes,
    may_edit,
    may_see,
)
from tests.support.rows import new_job

QUOTAS = Quotas()
NOW = datetime(2026, 11, 26, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_member_waits_until_fewer_losses_are_within_the_hour() -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in (59, 50, 40, 30, 20, 10)]
    assert len(times) == MAX_LOSSES + 1

    with pytest.raises(TooManyLosses) as refused:
        QUOTAS.check_losses(times, NOW)
    # The second of the six has to leave the window: at 11:10:00.5 + 1 h, rounded up.
    assert f"<t:{int(datetime(2026, 11, 26, 12, 10, 1, tzinfo=UTC).timestamp())}:R>" in str(
        refused.value
    )
    assert str(refused.value).startswith("6 of your jobs")
    with pytest.raises(TooManyLosses):
        QUOTAS.check_losses(times, NOW + timedelta(minutes=10) - timedelta(microseconds=1))
    QUOTAS.check_losses(times, NOW + timedelta(minutes=10))


def test_four_losses_or_old_ones_are_allowed() -> None:
    QUOTAS.check_losses([NOW] * (MAX_LOSSES - 1), NOW)
    QUOTAS.check_losses([NOW - LOSS_WINDOW] * 9, NOW)


def test_the_bytes_of_a_day_are_used_to_the_last() -> None:
    check_input_bytes(399_999_995, 5, frees_at=NOW)
    with pytest.raises(TooManyInputBytes) as refused:
        check_input_bytes(399_999_995, 6, frees_at=NOW)

    assert f"<t:{int(NOW.timestamp()) + 1}:R>" in str(refused.value)


def seen_by(job: Job, user_id: int, channel_id: int = 20) -> bool:
    return may_see(Member(user_id), channel_id, job)


def shown_job(**values: Any) -> Job:  # noqa: ANN401  # the fields of a job
    made = new_job(1)
    job = Job(
        id="a" * 16,
        status=JobStatus.SUCCEEDED,
        user_id=1,
        route=made.route,
        request=made.request,
        provider="oxen",
        price=1,
        created_at=NOW,
        delivered_at=NOW,
        result_message_id=5,
    )
    return replace(job, **values)


PRIVATE = replace(new_job().route, private=True)


@pytest.mark.parametrize(
    ("values", "channel_id", "seen"),
    [
        ({}, 20, True),
        ({}, 21, False),
        ({"result_channel_id": 21}, 21, True),
        ({"result_channel_id": 21}, 20, False),
        ({"result_channel_id": 0}, 20, False),
        ({"result_channel_id": 0}, 0, False),
        ({"route": PRIVATE}, 20, False),
        ({"hidden_at": NOW}, 20, False),
        ({"result_message_id": None}, 20, False),  # undeliverable
        ({"result_message_id": None, "delivered_at": None}, 20, True),  # about to be posted
    ],
)
def test_others_see_a_public_result_in_its_channel(
    values: dict[str, Any], channel_id: int, seen: bool
) -> None:
    job = shown_job(**values)

    assert seen_by(job, 2, channel_id) is seen
    assert seen_by(job, 1, channel_id)  # the requester sees all


@pytest.mark.parametrize("edit_others", [False, True])
def test_pictures_of_others_are_edited_by_the_setting(edit_others: bool) -> None:
    member = Member(2)
    job = shown_job()
    cases = [
        (PictureOrigin(20, author_id=2), True),
        (PictureOrigin(20, author_id=1), edit_others),
        (PictureOrigin(20), edit_others),
        (PictureOrigin(20, author_id=1, job=job), True),
        (PictureOrigin(21, author_id=1, job=job), False),
    ]
    for origin, allowed in cases:
        assert may_edit(member, origin, edit_others=edit_others) is allowed
        try:
            Quotas(edit_others=edit_others).check_edit(member, origin)
        except OthersPicture:
            assert not allowed
        else:
            assert allowed
