"""How late a generation may have been created to be adopted by a lost request."""

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.http.faults import AnswerAfter, HoldBefore
from tests.support.easel import Stage

QUEUE = "/api/ai/queue"


@pytest.mark.long
@pytest.mark.parametrize(("seconds", "adopted"), [(190, True), (200, False)])
async def test_a_generation_of_three_minutes_later_is_of_another_request(
    at: Stage, seconds: int, adopted: bool
) -> None:
    """15 seconds more, by which the clocks may differ."""
    lists = at.oxen.faults.add("GET", "/api/ai/(queue|generations)", HoldBefore(), times=None)
    at.oxen.faults.add("POST", QUEUE, AnswerAfter(500, "lost"))
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await lists.reached()
        (generation,) = at.oxen.generations.values()
        generation.enqueued_at += seconds
        lists.release()
        await (at.result("a fox") if adopted else at.said("Please try again"))
        (job,) = await at.settled()

    outcome = (JobStatus.SUCCEEDED, None) if adopted else (JobStatus.FAILED, Reason.DOUBTFUL)
    assert (job.status, job.reason) == outcome
    assert len(at.created()) == 1
