import asyncio

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import EntryKind
from bot.sandbox.http.faults import Answer, Hold
from bot.store import ledger
from tests.support.easel import Stage


async def entries(at: Stage) -> list[tuple[EntryKind, int]]:
    (job,) = await at.jobs()
    async with at.database() as database, database.reading() as view:
        return [(entry.kind, entry.amount) for entry in await ledger.entries_of(view, job.id)]


async def test_hold_release_and_capture_are_on_the_ledger(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await at.imagine("a fox", count=2)
        await at.settled()

    assert await entries(at) == [
        (EntryKind.HOLD, -15_000),
        (EntryKind.RELEASE, 15_000),
        (EntryKind.CAPTURE, -15_000),
    ]
    assert "reported no cost" not in caplog.text


async def test_what_was_not_made_is_named_and_not_charged(at: Stage) -> None:
    at.oxen.fail_next("Something went wrong")
    async with at.easel():
        await at.imagine("a fox", count=3)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(result.pictures()) == 2
    assert "made 2 of 3 pictures" in result.text()
    assert await at.balance() == -15_000


@pytest.mark.parametrize(
    ("message", "reason", "says"),
    [
        ("Content flagged for: sexual", Reason.REJECTED, "refused this prompt or picture"),
        ("Insufficient credits", Reason.CREDITS, "account at Oxen.ai is empty"),
        ("Something went wrong", Reason.UNKNOWN, "could not make this picture"),
    ],
)
async def test_a_generation_that_failed_costs_nothing_and_says_why(
    at: Stage, message: str, reason: Reason, says: str
) -> None:
    at.oxen.fail_next(message)
    async with at.easel():
        await at.imagine("a fox")
        failure = await at.said(says)
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, reason)
    assert "Nothing was charged" in failure.text()
    assert await at.balance() == 0


@pytest.mark.long
async def test_a_cost_that_is_never_told_is_estimated_by_the_price(at: Stage) -> None:
    at.oxen.cost_delay = None
    async with at.easel():
        await at.imagine("a fox")
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert (job.cost, job.estimated) == (7500, True)
    assert "about 7.5 credits" in result.text()
    assert await at.balance() == -7500


@pytest.mark.long
async def test_a_cost_that_is_told_late_corrects_the_estimate_once(at: Stage) -> None:
    at.oxen.cost_delay = None
    async with at.easel(oxen_price=3):
        at.oxen.models_answer = False
        await at.imagine("a fox")
        (job,) = await at.settled()
        assert job.estimated
        at.oxen.cost_delay = 0.0
        async with asyncio.timeout(20):
            at.clock.move(seconds=3)
            while (await at.jobs())[0].estimated:
                await asyncio.sleep(0.02)

    assert await at.balance() == -7500
    assert [kind for kind, _ in await entries(at)].count(EntryKind.ADJUSTMENT) == 1


COST = "/api/ai/generations/.*"


@pytest.mark.long
async def test_a_picture_does_not_wait_for_its_cost(at: Stage) -> None:
    """Which corrects the estimate, when it is told after all."""
    held = at.oxen.faults.add("GET", COST, Hold(), times=None)
    async with at.easel(oxen_price=3):
        at.oxen.models_answer = False
        await at.imagine("a fox", count=2)
        await at.result("a fox")
        (job,) = await at.settled()
        assert job.estimated
        held.remove()
        async with asyncio.timeout(20):
            while (await at.jobs())[0].estimated:
                await asyncio.sleep(0.05)

    assert await at.balance() == -15_000


@pytest.mark.long
async def test_a_cost_that_cannot_be_asked_for_is_no_surprise(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    broken = at.oxen.faults.add("GET", COST, Answer(401, {"error": "for a moment"}), times=None)
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        asked = broken.hits
        await broken.reached(hits=asked + 2)  # the chores come round every two seconds

    assert "unexpected" not in caplog.text
    assert "Traceback" not in caplog.text


async def out_of_time(at: Stage) -> None:
    """Past the time-out, and past the patience after it."""
    at.clock.move(minutes=10)
    async with asyncio.timeout(30):
        while not (await at.jobs())[0].status.settled:
            at.clock.move(seconds=20)
            await asyncio.sleep(0.1)


@pytest.mark.long
async def test_a_picture_that_can_never_be_had_loses_no_other(at: Stage) -> None:
    """At skills.video all pictures are one generation, and it was charged whole."""
    gone = at.skills.faults.add("GET", "/output/.*-2.png", Answer(404), times=None)
    async with at.easel():
        await at.imagine("a fox", model="skills", count=2)
        await gone.reached()
        await out_of_time(at)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(result.pictures()) == 1
    assert "made 1 of 2 pictures" in result.text()
    assert await at.balance() == -40_000


@pytest.mark.long
async def test_an_unexpected_error_of_one_picture_loses_no_other(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.fails = True

    def defective(base: str, url: str) -> str:
        raise IndexError("list index out of range")

    monkeypatch.setattr("bot.pictures.download.urljoin", defective)
    moved = Answer(302, headers={"Location": "/elsewhere.png"})
    fault = at.skills.faults.add("GET", "/output/.*-2.png", moved, times=None)
    async with at.easel():
        await at.imagine("a fox", model="skills", count=2)
        await fault.reached()
        await out_of_time(at)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(result.pictures()) == 1
    assert "unexpected error in a download" in caplog.text
    assert await at.balance() == -40_000


@pytest.mark.long
async def test_a_picture_of_its_own_generation_is_charged_when_it_can_be_had(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox", count=2)
        await at.said("Drawing")
        remote_id = list(at.oxen.generations)[1]
        gone = at.oxen.faults.add("GET", f"/api/repos/.*{remote_id}.*", Answer(404), times=None)
        await at.finish()
        await gone.reached()
        await out_of_time(at)
        result = await at.result("a fox")
        (job,) = await at.settled()
        balance = await at.balance()
        gone.remove()
        at.clock.move(minutes=6)
        late = await at.said("after it had been given up")
        (after,) = await at.settled()

    assert "made 1 of 2 pictures" in result.text()
    assert (job.status, balance) == (JobStatus.SUCCEEDED, -7500)
    assert len(late.pictures()) == 2
    assert (after.cost, await at.balance()) == (15_000, -15_000)


@pytest.mark.long
async def test_a_picture_that_cannot_be_had_at_first_is_asked_for_anew(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/repos/.*", Answer(404))
    async with at.easel():
        await at.imagine("a fox")
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_a_picture_that_is_none_fails_the_job(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/repos/.*", Answer(200, b"<html>no picture</html>"), times=None)
    async with at.easel():
        await at.imagine("a fox")
        await at.said("finished without a picture")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NO_PICTURE)
    assert await at.balance() == 0
