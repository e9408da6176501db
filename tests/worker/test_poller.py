"""The polls of running jobs: which are watched, when they are asked for, what a stream saves."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.providers.base import Canceled, Running, Submitted
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store import settlement
from bot.store.coordination import Alone
from bot.worker.poll import MISSES, Poller
from bot.worker.poll_queue import GAP
from bot.worker.stream_health import SILENCE
from tests.support.parts import Served
from tests.support.polling import due_in, end, requests, states, watched
from tests.support.rows import NOW

pytestmark = pytest.mark.usefixtures("costs_at_once")

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)
TIMEOUT = timedelta(minutes=10)  # JOB_TIMEOUT of the services of the tests
ROW = "/api/ai/queue/[^/]+"
LIST = "/api/ai/queue"


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_a_generation_that_is_not_found_five_times_in_a_row_is_given_up(
    made: Served, poller: Poller
) -> None:
    job = await watched(made, poller)
    for misses in (MISSES - 1, MISSES - 1):
        made.oxen.faults.add("GET", ROW, Answer(404), times=misses)
        for _ in range(misses + 1):  # the last one is found again
            assert await poller.poll(job.id) is None
    made.oxen.faults.add("GET", ROW, Answer(404), times=MISSES)
    for _ in range(MISSES - 1):
        assert await poller.poll(job.id) is None
    settled = await poller.poll(job.id)

    assert settled is not None
    assert (settled.status, settled.reason) == (JobStatus.FAILED, Reason.NOT_FOUND)
    assert await states(made, job) == [None]  # the service may charge for it
    assert not poller.is_watching(job.id)


async def test_an_answer_of_one_generation_does_not_end_a_job_of_two(
    made: Served, poller: Poller
) -> None:
    job = await watched(made, poller, count=2)
    first, second = made.oxen.generations
    end(made, first)
    assert await poller.poll(job.id) is None
    end(made, second)
    asked = made.oxen.generations[first].times_fetched
    settled = await poller.poll(job.id)

    assert settled is not None
    assert settled.status is JobStatus.FAILED
    assert made.oxen.generations[first].times_fetched == asked  # its end is known


async def test_a_job_that_is_not_watched_is_not_polled(made: Served, poller: Poller) -> None:
    job = await made.running(["gen_1"], provider="oxen")
    assert await poller.poll(job.id) is None

    assert made.oxen.requests == []


async def test_a_pause_that_the_service_asks_for_is_kept(made: Served, poller: Poller) -> None:
    job = await watched(made, poller)
    made.oxen.faults.add("GET", ROW, Answer(429, "", {"Retry-After": "40"}))
    assert await poller.poll(job.id) is None

    assert due_in(poller, made) == 40 * SECOND


async def test_the_polls_of_a_job_follow_each_other(made: Served, poller: Poller) -> None:
    job = await watched(made, poller)
    first = due_in(poller, made)
    assert 1.9 * SECOND <= first <= 2.1 * SECOND
    made.clock.now += first - MOMENT
    assert poller.take_due() == []
    made.clock.now += MOMENT
    assert [each.id for each in poller.take_due()] == [job.id]
    assert poller.take_due() == []
    poller.postpone(job, 7 * SECOND)
    assert due_in(poller, made) == 7 * SECOND
    await poller.poll(job.id)

    assert 1.9 * SECOND <= due_in(poller, made) <= 2.1 * SECOND
    poller.forget(job.id)
    assert poller.next_poll(made.clock.now) is None
    poller.forget(job.id)
    poller.postpone(job, SECOND)
    assert poller.next_poll(made.clock.now) is None


async def test_a_watched_job_is_listed_until_its_end(
    made: Served, poller: Poller, freed: list[bool]
) -> None:
    job = await watched(made, poller)
    assert (poller.watched, poller.running, poller.job(job.id)) == ({job.id}, [job], job)
    assert b"easel_watched_jobs 1.0" in made.services.metrics.text(None)
    end(made)
    assert await poller.poll(job.id) is not None

    assert (poller.watched, poller.running, poller.job(job.id)) == (set(), [], None)
    assert b"easel_watched_jobs 0.0" in made.services.metrics.text(None)
    assert poller.next_poll(made.clock.now) is None
    assert freed == [True]
    assert b'easel_polls_total{provider="oxen"} 1.0' in made.services.metrics.text(None)


async def test_a_job_is_watched_once_and_only_while_it_runs(made: Served, poller: Poller) -> None:
    job = await watched(made, poller)
    other = await made.running(["gen_1"], provider="oxen")
    async with made.database.transaction() as tx:
        await settlement.fail(tx, other.id, NOW, reason=Reason.TIMEOUT)
    poller.set_stream(job.id, followed=True)
    late = due_in(poller, made)
    await poller.begin_all([replace(job, price=1), other])

    assert poller.watched == {job.id}
    assert poller.job(job.id) == job
    assert due_in(poller, made) == late


async def test_a_job_waits_for_the_key_of_its_provider(
    made: Served, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    job = await made.running(["gen_1"], provider="removed")
    await poller.begin_all([job])

    assert poller.watched == {job.id}
    assert not poller.is_watching(job.id)
    assert caplog.messages == [f"running job {job.id} waits for the key of removed"]


async def test_a_stream_reports_an_end_before_or_after_the_job_is_watched(
    made: Served, poller: Poller
) -> None:
    poller.ended("fox of another bot")
    job = await watched(made, poller)
    (remote_id,) = made.oxen.generations
    assert due_in(poller, made) > timedelta(0)
    poller.ended(remote_id)
    assert due_in(poller, made) == timedelta(0)
    await poller.poll(job.id)
    assert due_in(poller, made) > timedelta(0)
    poller.forget(job.id)
    await poller.begin(job, [])

    assert due_in(poller, made) == timedelta(0)


@pytest.mark.parametrize("update", [Canceled(), Running(ended=True)])
async def test_a_job_whose_end_is_known_at_its_begin_is_polled_at_once(
    made: Served, poller: Poller, update: Canceled | Running
) -> None:
    remote_ids = await made.submitted(count=2)
    job = await made.running(remote_ids, provider="oxen", count=2)
    others = Running() if update == Running(ended=True) else Canceled()
    await poller.begin(job, [Submitted(remote_ids[0], others), Submitted(remote_ids[1], update)])

    assert due_in(poller, made) == timedelta(0)


async def test_a_stream_of_its_own_replaces_polls_until_it_ends(
    made: Served, poller: Poller
) -> None:
    job = await watched(made, poller)
    scheduled = due_in(poller, made)
    poller.set_stream(job.id, followed=True)
    assert due_in(poller, made) > 10 * scheduled
    poller.set_stream(job.id, followed=False)
    assert due_in(poller, made) < 2 * scheduled
    poller.set_stream("unknown", followed=True)


async def test_a_stream_of_the_account_replaces_polls_until_it_ends(
    made: Served, poller: Poller
) -> None:
    poller.stream_lives("oxen")
    assert poller.take_behind() == ["oxen"]
    job = await watched(made, poller, submitted=[Submitted("other", Running())])
    late = due_in(poller, made)
    assert late > 20 * SECOND
    assert poller.take_behind() == []
    poller.stream_ended("skills")
    assert due_in(poller, made) == late
    poller.stream_ended("oxen")

    assert due_in(poller, made) < 3 * SECOND
    assert poller.is_watching(job.id)


async def test_ends_before_a_stream_is_followed_are_caught_up_with(
    made: Served, poller: Poller
) -> None:
    await watched(made, poller, submitted=[Submitted("other", Running())])
    assert poller.take_behind() == []  # without a stream, jobs are polled on schedule
    poller.stream_lives("oxen")
    assert poller.take_behind() == ["oxen"]
    assert poller.take_behind() == []
    poller.stream_lives("oxen")  # there was no gap
    assert poller.take_behind() == []
    await watched(made, poller)  # found after a restart: its end may be an old one

    assert poller.take_behind() == ["oxen"]


async def test_two_unseen_jobs_are_caught_up_with_by_one_list(
    made: Served, poller: Poller, freed: list[bool]
) -> None:
    first, second = await watched(made, poller), await watched(made, poller)
    poller.stream_lives("oxen")
    ended, _ = made.oxen.generations
    end(made, ended)
    before = requests(made, "GET")
    await poller.catch_up("oxen")

    assert requests(made, "GET") == before + 1
    assert freed == [True]
    assert [job.id for job in poller.take_due()] == [first.id]
    assert due_in(poller, made) > 20 * SECOND  # the stream will report the end of the other
    made.clock.now += timedelta(minutes=1)
    assert [job.id for job in poller.take_due()] == [second.id]
    await poller.catch_up("oxen")
    assert requests(made, "GET") == before + 1  # all were seen


async def test_one_unseen_generation_is_polled_without_a_list(made: Served, poller: Poller) -> None:
    job = await watched(made, poller)
    before = requests(made, "GET")
    poller.stream_lives("oxen")
    await poller.catch_up("oxen")

    assert requests(made, "GET") == before
    assert due_in(poller, made) == timedelta(0)
    assert [each.id for each in poller.take_due()] == [job.id]


async def test_without_a_list_all_unseen_jobs_are_polled(
    made: Served, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    found = [await watched(made, poller) for _ in range(2)]
    poller.stream_lives("oxen")
    made.oxen.faults.add("GET", LIST, Answer(400))
    await poller.catch_up("oxen")
    taken = []
    for _ in range(2):
        taken += [job.id for job in poller.take_due()]
        made.clock.now += SECOND

    assert sorted(taken) == sorted(job.id for job in found)
    assert caplog.text.count("active generations of oxen not listed") == 1


async def test_a_failed_poll_is_repeated_soon_although_a_stream_is_followed(
    made: Served, poller: Poller
) -> None:
    poller.stream_lives("oxen")
    job = await watched(made, poller, submitted=[Submitted("other", Running())])
    assert due_in(poller, made) > 20 * SECOND
    made.oxen.faults.add("GET", ROW, Answer(400))
    await poller.poll(job.id)
    assert due_in(poller, made) < 3 * SECOND
    await poller.poll(job.id)

    assert due_in(poller, made) > 14 * SECOND


async def test_the_stream_of_another_provider_changes_nothing(made: Served, poller: Poller) -> None:
    found = [await watched(made, poller) for _ in range(2)]
    poller.stream_lives("skills")
    await poller.catch_up("skills")
    poller.stream_lives("oxen")
    before = requests(made, "GET")
    await poller.catch_up("oxen")

    assert requests(made, "GET") == before + 1
    assert poller.watched == {job.id for job in found}


async def test_a_gap_of_the_stream_makes_all_jobs_unseen(made: Served, poller: Poller) -> None:
    poller.stream_lives("oxen")
    submitted = [Submitted("other", Running())]
    for _ in range(2):
        await watched(made, poller, submitted=submitted)
    before = requests(made, "GET")
    await poller.catch_up("oxen")
    assert requests(made, "GET") == before
    made.clock.now += SILENCE + MOMENT
    poller.stream_lives("oxen")
    assert poller.take_behind() == ["oxen"]
    await poller.catch_up("oxen")

    assert requests(made, "GET") == before + 1


async def test_the_processes_that_poll_share_the_distance(
    made: Served, poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alone, "workers", 3)
    for _ in range(2):
        await watched(made, poller)
    made.clock.now += timedelta(minutes=1)
    assert len(poller.take_due()) == 1

    assert due_in(poller, made) == 3 * GAP


async def test_jobs_that_were_polled_or_forgotten_meanwhile_are_not_caught_up_with(
    made: Served, poller: Poller
) -> None:
    polled, forgotten, third = [await watched(made, poller) for _ in range(3)]
    end(made, *made.oxen.generations)
    poller.stream_lives("oxen")
    held = made.oxen.faults.add("GET", LIST, HoldBefore())
    catching_up = asyncio.create_task(poller.catch_up("oxen"))
    await held.reached()
    assert await poller.poll(polled.id) is not None
    poller.forget(forgotten.id)
    held.release()
    await catching_up

    assert [job.id for job in poller.take_due()] == [third.id]
    made.clock.now += timedelta(hours=1)
    assert poller.take_due() == []
