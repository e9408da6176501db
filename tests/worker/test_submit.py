"""One creating request for each job, whatever its outcome.

See docs/internals/design.md, Unknown outcomes and recovery.
"""

import asyncio
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import Job, JobStatus
from bot.providers.oxen import provider as oxen
from bot.providers.skills import create as skills
from bot.sandbox.http.faults import (
    Answer,
    AnswerAfter,
    Fault,
    Hold,
    HoldLost,
    Reset,
    ResetAfter,
    Truncate,
)
from bot.store.coordination import Alone
from tests.support.cluster import sqlite_only
from tests.support.easel import Stage
from tests.support.rows import new_job, one

QUEUE = "/api/ai/queue"
OWN_503 = Answer(503, {"error": {"type": "unknown_error", "title": "Overloaded"}})


@pytest.mark.parametrize(
    "fault", [OWN_503, Answer(429, {"error": {"message": "Rate limit exceeded"}})]
)
async def test_what_was_surely_not_taken_is_sent_again(at: Stage, fault: Fault) -> None:
    refused = at.oxen.faults.add("POST", QUEUE, fault)
    async with at.easel():
        await at.imagine("a fox")
        await at.result("a fox")
        (job,) = await at.settled()

    assert refused.hits == 1
    assert (job.status, len(at.oxen.generations)) == (JobStatus.SUCCEEDED, 1)


@pytest.mark.long
async def test_retry_after_is_obeyed(at: Stage) -> None:
    at.oxen.faults.add("POST", QUEUE, Answer(429, {}, {"Retry-After": "40"}))
    async with at.easel():
        await at.imagine("a fox")
        async with asyncio.timeout(20):
            while not (found := await at.jobs()) or found[0].submit_after is None:
                await asyncio.sleep(0.02)
        (job,) = found
        at.clock.move(seconds=45)
        await at.result("a fox")

    assert job.submit_after is not None
    assert job.submitted_at is not None
    assert 39 < (job.submit_after - job.submitted_at).total_seconds() < 45


@pytest.mark.parametrize(
    "fault",
    [
        ResetAfter(),
        AnswerAfter(500, "<html>oops</html>"),
        AnswerAfter(502, "<html>bad gateway</html>"),
        AnswerAfter(504, ""),
        AnswerAfter(503, "<html>not the API's own words</html>"),
        AnswerAfter(200, "not json"),
        Truncate(20),
    ],
    ids=str,
)
async def test_a_request_whose_answer_was_lost_is_found_and_adopted(
    at: Stage, fault: Fault
) -> None:
    lost = at.oxen.faults.add("POST", QUEUE, fault)
    async with at.easel():
        await at.imagine("a fox", count=2, aspect_ratio="1:1")
        await at.result("a fox")
        (job,) = await at.settled()

    assert lost.hits == 1
    assert (job.status, len(at.created()), len(at.oxen.generations)) == (JobStatus.SUCCEEDED, 1, 2)
    assert await at.balance() == -15_000


@pytest.mark.long
async def test_a_request_that_nobody_can_find_fails_uncharged_and_is_not_sent_again(
    at: Stage,
) -> None:
    at.oxen.faults.add("POST", QUEUE, Reset())
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Please try again")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert len(at.created()) == 1
    assert await at.balance() == 0


async def both_settled(at: Stage) -> list[Job]:
    async with asyncio.timeout(25):
        while True:
            found = [*await at.jobs(at.ada), *await at.jobs(at.ben)]
            if all(job.delivered_at for job in found):
                return found
            await asyncio.sleep(0.05)


@pytest.mark.long
@pytest.mark.parametrize("options", [{}, {"count": 1}, {"aspect_ratio": "16:9"}], ids=str)
async def test_a_generation_that_fits_two_jobs_is_adopted_by_neither(
    at: Stage, options: dict[str, object]
) -> None:
    """A refund is better than the wrong picture. What is given may be what is the default."""
    never_taken = at.oxen.faults.add("POST", QUEUE, HoldLost())
    taken = at.oxen.faults.add("POST", QUEUE, ResetAfter())
    async with at.easel():
        await at.imagine("a fox")
        await never_taken.reached()
        await at.imagine("a fox", by=at.ben, **options)
        await taken.reached()
        never_taken.release()
        found = await both_settled(at)

    assert [(job.status, job.reason) for job in found] == [
        (JobStatus.FAILED, Reason.DOUBTFUL),
        (JobStatus.FAILED, Reason.DOUBTFUL),
    ]
    assert len(at.oxen.generations) == 1


@pytest.mark.long
async def test_what_is_still_being_asked_for_is_not_taken_by_another(at: Stage) -> None:
    """The same prompt, one request lost and one whose answer is on its way."""
    reset = at.oxen.faults.add("POST", QUEUE, Reset())
    held = at.oxen.faults.add("POST", QUEUE, Hold())
    async with at.easel():
        await at.imagine("a fox")
        await reset.reached()
        await at.imagine("a fox", by=at.ben, count=1)
        await held.reached()
        await at.said("Please try again")
        held.release()
        lost, made = await both_settled(at)

    assert (lost.status, made.status) == (JobStatus.FAILED, JobStatus.SUCCEEDED)


@pytest.mark.long
async def test_two_that_were_lost_do_not_make_up_one_of_two_pictures(at: Stage) -> None:
    reset = at.oxen.faults.add("POST", QUEUE, Reset())
    for _ in range(2):
        at.oxen.faults.add("POST", QUEUE, ResetAfter())
    async with at.easel():
        await at.imagine("a fox", count=2)
        await reset.reached()
        await asyncio.gather(*(at.imagine("a fox", by=at.ben) for _ in range(2)))
        found = await both_settled(at)

    assert {(job.status, job.reason) for job in found} == {(JobStatus.FAILED, Reason.DOUBTFUL)}
    assert len(at.oxen.generations) == 2


@pytest.mark.long
async def test_a_cancel_while_it_is_being_asked_for_holds_if_that_is_refused(at: Stage) -> None:
    held = at.oxen.faults.add("POST", QUEUE, Answer(429, {}, held=True))
    async with at.easel():
        asked = await at.imagine("a fox")
        await held.reached()
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        held.release()
        found = await at.settled()

    assert len(at.created()) == 1
    assert [job.status for job in found] == [JobStatus.CANCELED]
    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert await at.balance() == 0


@sqlite_only  # elsewhere, the lease ends first: tests/test_cluster.py
async def test_a_bot_killed_while_submitting_adopts_what_it_made(at: Stage) -> None:
    held = at.oxen.faults.add("POST", QUEUE, Hold())
    async with at.easel():
        await at.imagine("a fox")
        await held.reached()
    (job,) = await at.jobs()
    assert job.status is JobStatus.SUBMITTING
    held.release()

    async with at.easel():
        await at.result("a fox")
        (job,) = await at.settled()

    assert (job.status, len(at.created())) == (JobStatus.SUCCEEDED, 1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Answer(401, {"status": "error", "status_message": "unauthenticated"}), "this bot's key"),
        (Answer(402, {"error": "Insufficient credits"}), "account at Oxen.ai is empty"),
        (Answer(400, {"error": {"message": "Content flagged for: sexual"}}), "refused this prompt"),
        (Answer(404, {"error": {"message": "Model not found: x"}}), "try again"),
    ],
)
async def test_a_refusal_fails_the_job_with_a_sentence(at: Stage, fault: Answer, says: str) -> None:
    at.oxen.faults.add("POST", QUEUE, fault)
    async with at.easel():
        asked = await at.imagine("a fox")
        failure = await at.said("Nothing was charged")
        await at.settled()

    assert says in failure.text()
    assert failure.pings == [at.ada.id]
    assert asked.message is not None
    assert asked.message.deleted
    assert await at.balance() == 0


@pytest.mark.long
async def test_a_job_that_cannot_be_submitted_for_half_an_hour_fails_uncharged(at: Stage) -> None:
    at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    async with at.easel():
        await at.imagine("a fox")
        at.clock.move(minutes=31)
        failure = await at.said("cannot be reached")
        (job,) = await at.settled()

    assert failure.pings == [at.ada.id]
    assert job.status is JobStatus.FAILED
    assert await at.balance() == 0


@pytest.mark.long
async def test_who_waited_while_the_bot_was_away_is_told_so(at: Stage) -> None:
    async with at.database() as database:
        await one(database, new_job(at.ada.id, at=at.clock() - timedelta(minutes=31)))
    async with at.easel():
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.AWAY)
    assert at.created() == []


@pytest.mark.long
async def test_at_most_four_submits_are_under_way_at_once(at: Stage) -> None:
    held = at.oxen.faults.add("POST", QUEUE, Hold(), times=None)
    async with at.easel():
        for number in range(7):
            await at.imagine(f"fox {number}")
        await held.reached(hits=3)  # one member leaves the last slot to another
        for number in range(3):
            await at.imagine(f"hare {number}", by=at.ben)
        await held.reached(hits=4)
        await asyncio.sleep(0.3)
        under_way = held.hits
        held.release()
        await at.settled(7)
        await at.result("hare 2")

    assert under_way == 4
    assert len(at.created()) == 10


@pytest.mark.long
@sqlite_only
async def test_the_last_slot_of_each_of_two_workers_is_for_another_member(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alone, "workers", 2)
    held = at.oxen.faults.add("POST", QUEUE, Hold(), times=None)
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}")
        await at.imagine("a hare", by=at.ben)
        await held.reached(hits=2)
        under_way = [job for job in await at.jobs() if job.submitted_at]
        of_ben = [job for job in await at.jobs(at.ben) if job.submitted_at]
        held.release()
        await at.settled(3)

    assert (len(under_way), len(of_ben)) == (1, 1)


@pytest.mark.long
async def test_a_refused_key_is_told_to_the_operator_once_until_it_works_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum("does not accept OXEN_API_KEY" in record.message for record in caplog.records)

    refusal = {"status": "error", "status_message": "unauthenticated"}
    async with at.easel():
        refused = at.oxen.faults.add("POST", QUEUE, Answer(401, refusal), times=None)
        for _ in range(3):
            await at.imagine("a fox")
        await at.settled(3)
        assert told() == 1

        refused.remove()
        await at.imagine("a hen")
        await at.settled(4)
        at.oxen.faults.add("POST", QUEUE, Answer(401, refusal))
        await at.imagine("a fox")
        await at.settled(5)
        assert told() == 2


@pytest.mark.long
@sqlite_only  # elsewhere, the server's clock decides when to search again
async def test_an_unknown_outcome_is_given_up_after_ten_minutes_without_a_search(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The API cannot be asked what became of the request, so that nothing is known before."""
    at.oxen.faults.add("POST", QUEUE, ResetAfter())
    at.oxen.faults.add("GET", QUEUE, OWN_503, times=None)

    async def searched(times: int) -> None:
        async with asyncio.timeout(20):
            while caplog.text.count("provider cannot be searched") < times:
                await asyncio.sleep(0.05)

    async with at.easel():
        await at.imagine("a fox")
        await searched(1)
        for minutes in range(1, 10):
            at.clock.move(minutes=1)
            await searched(minutes + 1)
        (job,) = await at.jobs()
        assert job.status is JobStatus.SUBMITTING  # after nine minutes
        at.clock.move(minutes=1)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert len(at.created()) == 1


@pytest.mark.long
async def test_a_request_that_is_never_answered_is_found_and_adopted(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oxen, "SUBMIT_TIMEOUT", 0.5)
    held = at.oxen.faults.add("POST", QUEUE, Hold())
    async with at.easel():
        await at.imagine("a fox")
        await at.result("a fox")
        (job,) = await at.settled()

    assert held.hits == 1
    assert (job.status, len(at.created())) == (JobStatus.SUCCEEDED, 1)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [
        Hold(),
        ResetAfter(),
        AnswerAfter(500, {"error": "IMAGE_GENERATION_FAILED"}),
        AnswerAfter(502, "<html>bad gateway</html>"),
        AnswerAfter(503, {"message": "upstream connect error"}),
        AnswerAfter(504, ""),
    ],
    ids=str,
)
async def test_where_there_is_no_list_a_lost_answer_is_told_to_member_and_operator(
    at: Stage, fault: Fault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(skills, "SUBMIT_TIMEOUT", 0.5)
    lost = at.skills.faults.add("POST", "/api/v1/generation/.*", fault)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Please try again")
        (job,) = await at.settled()

    assert lost.hits == 1
    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert len(at.skills.generations) == 1
    assert "outcome of a submit unknown" in caplog.text
    assert await at.balance() == 0


@pytest.mark.long
@sqlite_only  # elsewhere, the lease ends first: tests/test_cluster.py
async def test_a_submit_that_a_stop_interrupted_is_adopted_at_once(at: Stage) -> None:
    """The next start does not wait for the end of a lease whose holder is gone."""
    held = at.oxen.faults.add("POST", QUEUE, Hold())
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await held.reached()
    held.release()
    async with at.easel():
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.created()) == 1
