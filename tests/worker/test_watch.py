"""The time of a job's next poll, and how long its pictures took."""

import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.jobs import Generation, Job, JobStatus
from bot.worker.schedule import Schedule
from bot.worker.stream_health import REMEMBERED, SILENCE, StreamHealth
from bot.worker.watch import IN_OVERTIME, JITTER, NET, JobWatch
from tests.support.rows import NOW, new_job

EVERY_FOUR = Schedule([4.0] * 1000, late=20.0)
TIMEOUT = timedelta(minutes=10)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.fixture
def watch() -> JobWatch:
    new = new_job(1)
    job = Job(
        *(new.id, JobStatus.RUNNING, new.user_id, new.route, new.request),
        *(new.provider, new.price, new.created_at),
    )
    generations = [Generation(1, job.id, "r", None)]
    return JobWatch(job, generations, NOW, NOW + TIMEOUT, EVERY_FOUR)


def test_a_poll_follows_the_schedule_with_some_jitter(watch: JobWatch) -> None:
    waits = set()
    for age in (0, 4, 30):
        if age:
            watch.begin_poll(NOW + after(age))
        for _ in range(50):
            waits.add(watch.next_poll(NOW + after(age), followed=False) - NOW - after(age))

    assert len(waits) > 10
    assert after(4 * (1 - JITTER)) <= min(waits) <= max(waits) <= after(4 * (1 + JITTER))


@pytest.mark.parametrize("followed", [False, True])
def test_a_job_that_is_planned_again_is_polled_no_later(watch: JobWatch, followed: bool) -> None:
    watch.begin_poll(NOW + after(30))
    longest = NET if followed else after(4 * (1 + JITTER))
    for age in (32, 34, 36):
        next_poll = watch.next_poll(NOW + after(age), followed=followed)
        assert next_poll <= NOW + after(30) + longest


def test_a_job_found_after_a_restart_is_polled_at_once(watch: JobWatch) -> None:
    now = NOW + after(300)

    assert watch.next_poll(now, followed=False) <= now
    watch.begin_poll(now)
    assert watch.next_poll(now, followed=False) > now


def test_a_job_whose_end_a_stream_reports_is_polled_late_and_rarely(watch: JobWatch) -> None:
    assert watch.next_poll(NOW, followed=True) == NOW + after(20)
    watch.begin_poll(NOW + after(20))
    assert watch.next_poll(NOW + after(20), followed=True) == NOW + after(20) + NET
    watch.begin_poll(NOW + after(5))
    assert watch.next_poll(NOW + after(5), followed=True) == NOW + after(20)


@pytest.mark.parametrize("state", ["fails", "cancel_requested"])
def test_where_a_report_is_not_enough_the_schedule_holds(watch: JobWatch, state: str) -> None:
    watch.begin_poll(NOW + after(5))
    setattr(watch, state, True)

    assert watch.next_poll(NOW + after(5), followed=True) <= NOW + after(10)


def test_the_deadline_is_met_in_any_case(watch: JobWatch) -> None:
    watch.begin_poll(NOW + TIMEOUT - after(2))
    assert watch.next_poll(NOW + TIMEOUT - after(2), followed=True) == NOW + TIMEOUT
    watch.begin_poll(NOW + TIMEOUT)
    late = watch.next_poll(NOW + TIMEOUT, followed=True)
    assert NOW + TIMEOUT < late <= NOW + TIMEOUT + IN_OVERTIME


def test_a_duration_ends_between_the_last_two_polls(watch: JobWatch) -> None:
    assert watch.ended(NOW + after(8)).generation_ms == 6400  # the schedule begins with such ends
    watch.running_until = NOW + after(6)
    assert watch.ended(NOW + after(8)).generation_ms == 7000


def test_a_duration_ends_at_the_report_of_a_stream(watch: JobWatch) -> None:
    watch.hear(NOW + after(5.5))

    assert watch.ended(NOW + after(8)).generation_ms == 5500
    early = replace(watch, news_at=NOW - after(1))  # before the job was stored as running
    assert early.ended(NOW).generation_ms == 0


def test_a_stream_is_followed_from_a_sign_of_life_until_its_end_or_silence() -> None:
    streams = StreamHealth()
    assert not streams.is_followed("oxen", NOW)
    assert streams.lives("oxen", NOW)
    assert not streams.lives("oxen", NOW + SILENCE)
    assert streams.is_followed("oxen", NOW + 2 * SILENCE)
    assert not streams.is_followed("oxen", NOW + 2 * SILENCE + after(0.001))
    assert streams.lives("oxen", NOW + 3 * SILENCE)
    assert streams.end("oxen")
    assert not streams.end("oxen")
    assert not streams.is_followed("oxen", NOW + 3 * SILENCE)
    assert not streams.is_followed("skills", NOW)


def test_ends_before_a_stream_is_followed_may_be_missed() -> None:
    streams = StreamHealth()
    assert streams.may_have_missed("oxen", NOW)

    streams.lives("oxen", NOW + after(1))
    streams.lives("oxen", NOW + after(9))
    assert streams.may_have_missed("oxen", NOW)
    assert not streams.may_have_missed("oxen", NOW + after(1))
    assert streams.may_have_missed("skills", NOW + after(1))

    streams.lives("oxen", NOW + after(10) + SILENCE)
    assert streams.may_have_missed("oxen", NOW + after(9))

    streams.end("oxen")
    assert streams.may_have_missed("oxen", NOW + after(10) + SILENCE)


def test_the_newest_reports_are_remembered() -> None:
    streams = StreamHealth()
    for number in range(REMEMBERED + 1):
        streams.hear(str(number), NOW)
    streams.hear("1", NOW + after(1))

    assert streams.heard("0") is None
    assert streams.heard("1") == NOW + after(1)
    assert streams.heard("2") == NOW
    assert streams.heard(str(REMEMBERED)) == NOW

    streams.hear("new", NOW)
    assert streams.heard("1") == NOW + after(1)  # reported again, and so newer than others
    assert streams.heard("2") is None


def test_a_watch_is_small_beside_its_job(watch: JobWatch) -> None:
    """Ten thousand are in memory."""
    tracemalloc.start()
    try:
        kept = [JobWatch(watch.job, watch.generations, NOW, NOW, EVERY_FOUR) for _ in range(1000)]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size / len(kept) < 450  # bytes
