"""A running job at its deadline and after it: the last poll, the ends, and the pauses."""

from datetime import datetime, timedelta

import pytest

from bot.errors import Reason
from bot.jobs import Generation, Job, JobStatus
from bot.providers.base import Canceled, Failed, Finished, Running, Waiting
from bot.worker.poll_queue import Poll
from bot.worker.schedule import Schedule
from bot.worker.settle import Abandoned
from bot.worker.watch import JobWatch
from tests.support.rows import NOW, new_job

DEADLINE = NOW + timedelta(minutes=10)
LAST = DEADLINE + timedelta(minutes=3)  # of overtime
SHORTEST = timedelta(milliseconds=1)
DONE, FAILED = Finished(("https://x/1",)), Failed(Reason.REJECTED)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def watch_of(*remote_ids: str, wait: float = 4.0) -> JobWatch:
    new = new_job(7)
    job = Job(
        *(new.id, JobStatus.RUNNING, new.user_id, new.route, new.request),
        *(new.provider, new.price, new.created_at),
    )
    made = [Generation(number, job.id, each, None) for number, each in enumerate(remote_ids)]
    return JobWatch(job, made, NOW, DEADLINE, Schedule([wait] * 10_000, late=20.0))


def ids(generations: list[Generation]) -> list[str]:
    return [each.remote_id for each in generations]


def test_a_generation_is_pending_until_its_end() -> None:
    watch = watch_of("new", "waiting", "running", "done", "failed", "canceled", "abandoned")
    watch.updates = {
        "waiting": Waiting(),
        "running": Running(),
        "done": DONE,
        "failed": FAILED,
        "canceled": Canceled(),
        "abandoned": Abandoned(Reason.NOT_FOUND, ""),
    }
    watch.stopped = frozenset({"waiting", "done"})

    assert ids(watch.pending) == ["new", "waiting", "running"]
    assert ids(watch.unstopped) == ["new", "running"]


@pytest.mark.parametrize("cancel_requested", [False, True])
def test_only_in_overtime_a_generation_without_an_end_is_abandoned(cancel_requested: bool) -> None:
    """A cancel that no member has requested is Easel's own, after the deadline."""
    watch = watch_of("new", "waiting", "canceled", "done")
    watch.updates = {"waiting": Waiting(), "canceled": Canceled(), "done": DONE}
    watch.cancel_requested = cancel_requested
    assert [end for _, end in watch.ends] == [Running(), Waiting(), Canceled(), DONE]

    watch.begin_poll(DEADLINE)
    given_up = Abandoned(Reason.TIMEOUT, "no end within JOB_TIMEOUT")
    canceled = Canceled() if cancel_requested else given_up
    assert [end for _, end in watch.ends] == [given_up, given_up, canceled, DONE]
    assert ids([each for each, _ in watch.ends]) == ["new", "waiting", "canceled", "done"]


def test_a_poll_begins_anew_what_the_last_one_found() -> None:
    watch = watch_of("r")
    watch.hear(NOW)
    watch.unseen = watch.fails = True
    assert watch.news
    watch.begin_poll(NOW + after(1))

    assert (watch.news, watch.unseen, watch.fails) == (False, False, False)
    assert (watch.polls, watch.polled_at, watch.news_at) == (1, NOW + after(1), NOW)
    assert watch.poll == Poll(watch.job.id, "oxen", 7, 1)


def test_overtime_begins_with_the_first_poll_at_the_deadline() -> None:
    watch = watch_of("r")
    watch.begin_poll(DEADLINE - SHORTEST)
    assert watch.overtime_at is None
    assert not watch.is_last(LAST)
    watch.begin_poll(DEADLINE)
    watch.begin_poll(DEADLINE + after(10))

    assert watch.overtime_at == DEADLINE
    assert not watch.is_last(LAST - SHORTEST)
    assert watch.is_last(LAST)


def test_generations_that_are_polled_again_need_no_cancel() -> None:
    watch = watch_of("running", "done", "new")
    watch.updates = {"running": Running(), "done": DONE}
    watch.forget_ends()

    assert ids(watch.pending) == ["running", "done", "new"]
    assert ids(watch.unstopped) == ["running", "new"]
    assert watch.fails


def test_the_wait_between_two_cancels_grows_to_a_minute() -> None:
    watch, waits = watch_of("r"), []
    for _ in range(8):
        watch.cancel_failed(NOW, None)
        assert watch.cancel_after is not None
        waits.append((watch.cancel_after - NOW).total_seconds())

    assert waits == [5, 10, 20, 40, 60, 60, 60, 60]
    watch.cancel_failed(NOW, 300.0)
    assert watch.cancel_after == NOW + after(300)


def polled(at: datetime, *, wait: float = 4.0, **more: object) -> JobWatch:
    watch = watch_of("r", wait=wait)
    watch.begin_poll(at)
    for name, value in more.items():
        setattr(watch, name, value)
    return watch


def test_a_wait_stays_within_its_bounds_whatever_the_jitter() -> None:
    for wait in (1.0, 15.0):
        found = [
            (polled(NOW, wait=wait).next_poll(NOW, followed=False) - NOW).total_seconds()
            for _ in range(50)
        ]
        assert min(found) >= 1.0
        assert max(found) <= 15.0
        assert wait in found


def test_the_wait_is_that_of_the_age_at_the_last_poll() -> None:
    watch = watch_of("r")
    watch.schedule = Schedule([2.0] * 40 + [8.0] * 40, late=20.0)
    for age, wait in ((0, 2), (9, 2), (10, 8), (15, 8)):
        watch.polled_at = NOW + after(age)
        found = watch.next_poll(NOW + after(age), followed=False) - NOW - after(age)
        assert after(wait * 0.95) <= found <= after(wait * 1.05)


def test_a_requested_pause_postpones_the_poll() -> None:
    pause = NOW + after(40)
    watch = polled(NOW, not_before=pause)
    assert watch.next_poll(NOW, followed=False) == pause
    assert watch.next_poll(NOW + after(35), followed=True) == pause
    soon = polled(NOW, not_before=NOW + after(1))
    assert soon.next_poll(NOW, followed=False) > NOW + after(3)

    watch.updates = {"r": DONE}  # only pictures are missing, of another host
    assert watch.next_poll(NOW, followed=False) < NOW + after(5)


def test_a_pause_ends_with_the_overtime() -> None:
    late = NOW + timedelta(hours=1)
    assert polled(NOW, not_before=late).next_poll(NOW, followed=False) == LAST
    at = DEADLINE + after(20)
    assert polled(at, not_before=late).next_poll(at, followed=False) == LAST + after(20)


def test_in_overtime_a_job_is_polled_every_ten_seconds_at_least() -> None:
    for followed in (False, True):
        before = polled(DEADLINE - after(1), wait=15.0)
        assert before.next_poll(DEADLINE - SHORTEST, followed=followed) == DEADLINE
        at = polled(DEADLINE, wait=15.0)
        assert at.next_poll(DEADLINE, followed=followed) == DEADLINE + after(10)
    soon = polled(DEADLINE, wait=4.0)
    assert soon.next_poll(DEADLINE, followed=True) <= DEADLINE + after(4.2)


def test_half_of_the_time_since_the_last_open_poll_counts_as_drawn() -> None:
    watch = polled(NOW, running_until=NOW + after(6))
    assert watch.ended(NOW + after(6)).generation_ms == 6000
    assert watch.ended(NOW + after(9)).generation_ms == 7500
    watch.hear(NOW + after(2))
    assert watch.ended(NOW + after(9)).generation_ms == 2000
