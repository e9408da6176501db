"""The policy of a delivery, without Discord: decided by age, whatever the backoff."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.backoff import Backoff
from bot.jobs import TOKEN_MARGIN, Job
from bot.store.database import Database
from cogs.delivery.discord_delivery import REMEMBERED, DiscordDelivery
from cogs.delivery.fallback import (
    ABANDON_AFTER,
    FAILURES_IN_A_ROW,
    FALL_BACK_AFTER,
    LOOKUP_AFTER,
    NONCE_WINDOW,
    REPLY_AFTER,
    SHORTEST_ROW,
    WEBHOOK_APPEARS,
    Attempts,
    DestinationName,
    age_of,
    waits_for_status,
)
from tests.support.rows import NOW, one
from tests.support.services import services_on

MINUTE = timedelta(minutes=1)
MOMENT = timedelta(seconds=1)


@pytest.fixture
async def job(database: Database) -> Job:
    """A job that is delivered for the first time one minute after the request."""
    return replace(await one(database), delivery_started_at=NOW + MINUTE)


def failing() -> Attempts:
    return Attempts(failures=FAILURES_IN_A_ROW, failing_since=NOW)


def test_a_channel_is_left_for_the_reply_after_four_minutes(job: Job) -> None:
    first = NOW + MINUTE

    assert timedelta(minutes=4) == REPLY_AFTER
    assert not failing().may_fall_back(DestinationName.CHANNEL, job, first + REPLY_AFTER - MOMENT)
    assert failing().may_fall_back(DestinationName.CHANNEL, job, first + REPLY_AFTER)


def test_a_channel_is_left_sooner_if_the_token_expires(job: Job) -> None:
    expires = job.route.token_expires_at
    job = replace(job, delivery_started_at=expires - 3 * MINUTE)

    assert not failing().may_fall_back(
        DestinationName.CHANNEL, job, expires - TOKEN_MARGIN - MOMENT
    )
    assert failing().may_fall_back(DestinationName.CHANNEL, job, expires - TOKEN_MARGIN)


def test_a_status_message_is_ended_within_two_hours_or_not_at_all(job: Job) -> None:
    first = NOW + MINUTE

    assert waits_for_status(job, first + FALL_BACK_AFTER - MOMENT)
    assert not waits_for_status(job, first + FALL_BACK_AFTER)


@pytest.mark.parametrize(
    "destination", [DestinationName.CHANNEL, DestinationName.REPLY, DestinationName.DIRECT_MESSAGE]
)
def test_every_destination_is_left_after_two_hours(job: Job, destination: DestinationName) -> None:
    """The channel is left too, although the reply cannot be edited any more."""
    job = replace(job, delivery_started_at=NOW + 20 * MINUTE)
    first = NOW + 20 * MINUTE

    assert timedelta(hours=2) == FALL_BACK_AFTER
    assert not failing().may_fall_back(destination, job, first + FALL_BACK_AFTER - MOMENT)
    assert failing().may_fall_back(destination, job, first + FALL_BACK_AFTER)


def test_a_delivery_ends_after_a_day(job: Job) -> None:
    first = NOW + MINUTE

    assert timedelta(hours=24) == ABANDON_AFTER
    assert not failing().is_over(job, first + ABANDON_AFTER - MOMENT)
    assert failing().is_over(job, first + ABANDON_AFTER)


def test_age_alone_decides_nothing(job: Job) -> None:
    attempts, much_later = Attempts(), NOW + timedelta(days=9)
    for number in range(FAILURES_IN_A_ROW - 1):
        attempts.count_failure(NOW + number * MINUTE, discord_works=True)

    assert not attempts.may_fall_back(DestinationName.CHANNEL, job, much_later)
    assert not attempts.is_over(job, much_later)

    attempts.count_failure(NOW + 2 * MINUTE, discord_works=True)
    assert attempts.may_fall_back(DestinationName.CHANNEL, job, much_later)
    assert attempts.is_over(job, much_later)


def test_a_failure_during_an_outage_of_discord_ends_the_row(job: Job) -> None:
    attempts, much_later = failing(), NOW + timedelta(days=9)
    attempts.count_failure(much_later, discord_works=False)

    assert (attempts.failures, attempts.failing_since) == (0, None)
    assert not attempts.may_fall_back(DestinationName.CHANNEL, job, much_later)
    assert not attempts.is_over(job, much_later)


def test_failures_of_half_a_minute_after_a_long_stop_end_nothing(job: Job) -> None:
    """The first attempt was made a day before the start of this run."""
    attempts, start = Attempts(earlier_run=True), NOW + timedelta(days=2)
    for second in (0, 4, 12, 28):
        attempts.count_failure(start + second * MOMENT, discord_works=True)
    soon, later = start + 28 * MOMENT, start + SHORTEST_ROW

    assert not attempts.may_fall_back(DestinationName.CHANNEL, job, soon)
    assert not attempts.is_over(job, soon)
    assert attempts.may_fall_back(DestinationName.CHANNEL, job, later)
    assert attempts.is_over(job, later)


@pytest.mark.parametrize("longest", [1, 10, 30])
def test_the_backoff_moves_no_fallback(job: Job, longest: int) -> None:
    """Each fallback happens at the first attempt after its age, with any longest wait."""
    backoff = Backoff(first=timedelta(seconds=2), longest=longest * MINUTE)
    job = replace(job, delivery_started_at=NOW + 20 * MINUTE)  # the reply has expired by then
    now, attempt, left, over = NOW + 20 * MINUTE, 0, None, None
    while over is None:
        attempt += 1
        attempts = Attempts(failures=attempt - 1, failing_since=NOW + 20 * MINUTE)
        age = now - (job.delivery_started_at or now)
        if left is None and attempts.may_fall_back(DestinationName.CHANNEL, job, now):
            left = age
        if attempts.is_over(job, now):
            over = age
        now += backoff.wait(attempt)

    assert left is not None
    assert FALL_BACK_AFTER <= left <= FALL_BACK_AFTER + longest * MINUTE
    assert ABANDON_AFTER <= over <= ABANDON_AFTER + longest * MINUTE


def test_after_a_restart_every_destination_is_searched_first_but_direct_messages(
    job: Job,
) -> None:
    attempts, young, old = Attempts(earlier_run=True), NOW + 2 * MINUTE, NOW + timedelta(hours=3)

    assert attempts.searches_first(DestinationName.CHANNEL, job, young)
    assert attempts.searches_first(DestinationName.REPLY, job, young)
    assert not attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, young)
    assert attempts.searches(DestinationName.DIRECT_MESSAGE)  # before a post there
    assert attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, old)


def test_a_destination_with_an_unknown_outcome_is_searched_first(job: Job) -> None:
    attempts = Attempts()
    assert not attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, NOW)
    assert not attempts.searches(DestinationName.DIRECT_MESSAGE)

    attempts.may_have(DestinationName.DIRECT_MESSAGE, NOW)
    assert attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, NOW)


def test_a_channel_is_left_for_the_reply_only_while_there_is_one(job: Job) -> None:
    later = NOW + MINUTE + REPLY_AFTER
    without = replace(job, route=replace(job.route, status_message_id=None))
    expired = replace(job, route=replace(job.route, token_expires_at=later))

    assert failing().may_fall_back(DestinationName.CHANNEL, job, later)
    assert not failing().may_fall_back(DestinationName.CHANNEL, without, later)
    assert not failing().may_fall_back(DestinationName.CHANNEL, expired, later)
    assert not failing().may_fall_back(DestinationName.PARENT_CHANNEL, job, later)


def test_a_row_is_three_failures_over_four_minutes(job: Job) -> None:
    assert (FAILURES_IN_A_ROW, SHORTEST_ROW) == (3, 4 * MINUTE)
    later = NOW + timedelta(days=9)
    two = Attempts(failures=2, failing_since=NOW)
    short = Attempts(failures=3, failing_since=later - SHORTEST_ROW + MOMENT)
    whole = Attempts(failures=3, failing_since=later - SHORTEST_ROW)

    for attempts, ends in ((two, False), (short, False), (whole, True)):
        assert attempts.is_over(job, later) is ends
        assert attempts.may_fall_back(DestinationName.REPLY, job, later) is ends
        assert attempts.gives_up_search(job, later) is ends


def test_a_row_of_failures_begins_with_the_first_of_them() -> None:
    attempts = Attempts()
    attempts.count_failure(NOW, discord_works=True)
    attempts.count_failure(NOW + MINUTE, discord_works=True)
    assert (attempts.failures, attempts.failing_since) == (2, NOW)

    attempts.count_failure(NOW + 2 * MINUTE, discord_works=False)
    attempts.count_failure(NOW + 3 * MINUTE, discord_works=True)
    assert (attempts.failures, attempts.failing_since) == (1, NOW + 3 * MINUTE)


def test_a_search_that_fails_is_given_up_after_ten_minutes(job: Job) -> None:
    job = replace(job, delivery_started_at=NOW + 20 * MINUTE)  # the token has expired
    ready = NOW + 20 * MINUTE + LOOKUP_AFTER

    assert timedelta(minutes=10) == LOOKUP_AFTER
    assert not failing().gives_up_search(job, ready - MOMENT)
    assert failing().gives_up_search(job, ready)


def test_a_search_that_fails_is_given_up_sooner_for_a_reply_that_expires(job: Job) -> None:
    expires = job.route.token_expires_at
    job = replace(job, delivery_started_at=expires - 3 * MINUTE)
    without = replace(job, route=replace(job.route, status_message_id=None))
    ready = expires - TOKEN_MARGIN
    twice = Attempts(failures=2, failing_since=NOW)

    assert not failing().gives_up_search(job, ready - MOMENT)
    assert failing().gives_up_search(job, ready)
    assert not failing().gives_up_search(job, expires)
    assert not failing().gives_up_search(without, ready)
    assert not twice.gives_up_search(job, ready)


def test_a_post_is_repeated_without_a_search_while_its_nonce_holds(job: Job) -> None:
    """An edit of the reply can always be repeated."""
    channel, attempts = DestinationName.CHANNEL, Attempts()
    first = NOW + MINUTE

    assert timedelta(minutes=2) == NONCE_WINDOW
    assert attempts.repeats_safely(channel, job, first + NONCE_WINDOW - MOMENT)
    assert not attempts.repeats_safely(channel, job, first + NONCE_WINDOW)
    attempts.may_have(channel, first + MINUTE)
    attempts.may_have(channel, first + 2 * MINUTE)  # the window is that of the earlier post
    assert attempts.repeats_safely(channel, job, first + MINUTE + NONCE_WINDOW - MOMENT)
    assert not attempts.repeats_safely(channel, job, first + MINUTE + NONCE_WINDOW)
    assert attempts.repeats_safely(DestinationName.REPLY, job, first + timedelta(days=1))
    assert not attempts.repeats_safely(
        DestinationName.PARENT_CHANNEL, replace(job, delivery_started_at=None), first
    )


def test_an_unknown_webhook_may_appear_for_half_a_minute() -> None:
    attempts = Attempts()

    assert timedelta(seconds=30) == WEBHOOK_APPEARS
    assert attempts.webhook_may_appear(NOW)
    assert attempts.webhook_may_appear(NOW + WEBHOOK_APPEARS - MOMENT)
    assert not attempts.webhook_may_appear(NOW + WEBHOOK_APPEARS)


def test_direct_messages_are_searched_first_from_the_age_at_which_they_are_reached(
    job: Job,
) -> None:
    attempts, reached = Attempts(earlier_run=True), NOW + MINUTE + FALL_BACK_AFTER

    assert not attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, reached - MOMENT)
    assert attempts.searches_first(DestinationName.DIRECT_MESSAGE, job, reached)


def test_a_delivery_that_has_not_begun_has_no_age(job: Job) -> None:
    assert age_of(replace(job, delivery_started_at=None), NOW) == timedelta(0)
    assert age_of(job, NOW + 3 * MINUTE) == 2 * MINUTE


def test_the_smallest_upload_is_not_halved() -> None:
    attempts, smallest = Attempts(), 512 * 1024
    attempts.upload_less(smallest)
    assert attempts.limit is None
    attempts.upload_less(smallest + 1)
    assert attempts.limit == smallest


def test_an_upload_that_takes_too_long_is_halved_down_to_half_a_mebibyte() -> None:
    attempts = Attempts()
    attempts.upload_less(8 * 1024 * 1024)
    assert attempts.limit == 4 * 1024 * 1024
    attempts.upload_less(700 * 1024)
    assert attempts.limit == 512 * 1024
    attempts.limit = None
    attempts.upload_less(100 * 1024)
    assert attempts.limit is None


@pytest.mark.parametrize(
    ("number", "unknown"), [(2, False), (3, True)], ids=["by this process", "by another"]
)
async def test_attempts_of_another_process_are_searched_for(
    database: Database, job: Job, tmp_path: Path, number: int, unknown: bool
) -> None:
    delivery = services_on(database, tmp_path, lambda: NOW).delivery
    assert isinstance(delivery, DiscordDelivery)
    first = delivery._attempts_of(replace(job, delivery_attempts=1), again=False)
    assert not first.earlier_run

    later = delivery._attempts_of(replace(job, delivery_attempts=number), again=True)
    assert later is first
    assert later.searches(DestinationName.CHANNEL) is unknown


async def test_the_memory_of_attempts_is_bounded(
    database: Database, job: Job, tmp_path: Path
) -> None:
    delivery = services_on(database, tmp_path, lambda: NOW).delivery
    assert isinstance(delivery, DiscordDelivery)
    for number in range(REMEMBERED + 1):
        delivery._attempts_of(replace(job, id=str(number), delivery_attempts=1), again=False)
    assert len(delivery._attempts) == REMEMBERED
