"""Jobs at skills.video whose creating request streams the end (apis.md, skills.video: events)."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.providers.skills import create
from bot.sandbox.http.faults import Answer, Fault, Hold, Reset, ResetAfter
from bot.sandbox.skills.events import Cut
from tests.support import cluster
from tests.support.easel import SKILLS_KEY, Stage, worker_of

STREAM = "/api/v1/generation/sse/.*"
PLAIN = "/api/v1/generation/[^/]+/[^/]+"
CREATE = "/api/v1/generation/sse/qwen/qwen-image-2-pro"
CREATE_PLAIN = "/api/v1/generation/qwen/qwen-image-2-pro"


@pytest.fixture(params=["sqlite"])  # the connections to services are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


@pytest.fixture(autouse=True)
def every_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def creates(at: Stage) -> list[str]:
    """Return the addresses of all creating requests to skills.video."""
    return [each.path for each in at.skills.requests if each.method == "POST"]


def polls(at: Stage) -> int:
    asked = [each for each in at.skills.requests if each.method == "GET"]
    return sum(each.site == "api" and each.path != "/api/v1/credits" for each in asked)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.01)


async def test_an_end_in_the_stream_is_delivered_at_once_after_one_poll(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        assert polls(at) == 0
        at.skills.release_generations()
        await at.result("a fox")
        (job,) = await at.settled()
        await until(lambda: at.skills.open_streams == 0)

    assert (job.status, job.cost) == (JobStatus.SUCCEEDED, 20_000)
    assert (creates(at), polls(at)) == ([CREATE], 1)


async def test_a_failure_in_the_stream_is_told_at_once(at: Stage) -> None:
    at.skills.fail_next(code="CONTENT_REJECTED")
    async with at.easel():
        await at.imagine("a fox", model="skills")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.REJECTED)
    assert await at.balance() == 0


async def test_a_stream_that_is_dropped_is_polled_and_nothing_is_sent_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.stream_cut = Cut(1)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert creates(at) == [CREATE]
    assert polls(at) >= 1
    assert "broke, polling" in caplog.text


@pytest.mark.long
@pytest.mark.parametrize(
    "extra", [b"data: {not json\n\ndata: 7\n\n: \n\n", b"data: " + b"9" * 2**21]
)
async def test_garbage_in_a_stream_is_polled(at: Stage, extra: bytes) -> None:
    at.skills.stream_cut = Cut(1, silent=True, extra=extra)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        await at.skills.settled(next(iter(at.skills.generations)))
        at.clock.move(seconds=40)  # until nearly all such jobs have ended
        await at.result("a fox")
        await at.settled()
        await until(lambda: at.skills.open_streams == 0)

    assert creates(at) == [CREATE]


@pytest.mark.long
async def test_a_silent_stream_is_given_up_and_polled(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(create, "SILENCE", 0.3)
    at.skills.hold_generations()
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await until(lambda: "broke, polling" in caplog.text)
        await until(lambda: at.skills.open_streams == 0)
        at.skills.release_generations()
        await at.result("a fox")
        await at.settled()

    assert creates(at) == [CREATE]


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "cut"),
    [
        (Hold(), None),
        (Reset(), None),
        (ResetAfter(), None),
        (None, Cut(0)),
        (None, Cut(0, silent=True)),
        (None, Cut(0, extra=b'data: {"status": "IN_QUEUE"}\n\n: \n\n')),
        (Answer(200, b"data: 7\n\n", {"Content-Type": "text/event-stream"}), None),
    ],
    ids=str,
)
async def test_a_stream_that_is_lost_before_its_id_is_an_unknown_outcome(
    at: Stage, fault: Fault | None, cut: Cut | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "SUBMIT_TIMEOUT", 0.5)
    at.skills.stream_cut = cut
    if fault is not None:
        at.skills.faults.add("POST", STREAM, fault)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Please try again")
        (job,) = await at.settled()
        await until(lambda: at.skills.open_streams == 0)
        assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
        assert creates(at) == [CREATE]
        at.skills.stream_cut = None
        await at.imagine("a hare", model="skills")  # without a stream for some minutes
        await at.result("a hare")

    assert creates(at) == [CREATE, CREATE_PLAIN]


@pytest.mark.long
@pytest.mark.parametrize("status", [404, 405, 406])
async def test_an_account_without_streams_is_asked_once(
    at: Stage, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refused = at.skills.faults.add("POST", STREAM, Answer(status, {"error": "x"}), times=None)
    async with at.easel():
        for number in range(2):
            await at.imagine(f"fox {number}", model="skills")
            await at.result(f"fox {number}")
        found = await at.settled(2)

    assert {job.status for job in found} == {JobStatus.SUCCEEDED}
    assert refused.hits == 1
    assert creates(at) == [CREATE, CREATE_PLAIN, CREATE_PLAIN]
    assert caplog.text.count("no event streams at skills.video") == 1


@pytest.mark.long
async def test_an_unknown_model_says_nothing_about_streams(at: Stage) -> None:
    gone = at.skills.faults.add("POST", STREAM + "|" + PLAIN, Answer(404, {"error": "x"}), times=2)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        (job,) = await at.settled()
        assert (job.status, gone.hits) == (JobStatus.FAILED, 2)
        await at.imagine("a hare", model="skills")
        await at.result("a hare")

    assert creates(at) == [CREATE, CREATE_PLAIN, CREATE]


@pytest.mark.long
async def test_a_refusal_before_the_stream_is_a_refusal(at: Stage) -> None:
    at.skills.subscription = at.skills.permanent = 0
    async with at.easel():
        await at.imagine("a fox", model="skills")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.CREDITS)
    assert creates(at) == [CREATE]
    assert await at.losses() == []


@pytest.mark.long
async def test_a_limit_before_the_stream_puts_the_job_back(at: Stage) -> None:
    at.skills.faults.add("POST", STREAM, Answer(429, {"error": "slow down"}))
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.result("a fox")

    assert creates(at) == [CREATE, CREATE]
    assert len(at.skills.generations) == 1


@pytest.mark.long
async def test_streams_can_be_switched_off(at: Stage) -> None:
    async with at.easel(skills_stream="off"):
        await at.imagine("a fox", model="skills")
        await at.result("a fox")

    assert creates(at) == [CREATE_PLAIN]


@pytest.mark.long
async def test_beyond_the_limit_jobs_are_created_without_a_stream(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel(skills_stream_max=4):
        for number in range(4):
            await at.imagine(f"fox {number}", model="skills")
            await at.skills.created(number + 1)
        assert creates(at) == [CREATE, CREATE, CREATE_PLAIN, CREATE_PLAIN]
        assert at.skills.open_streams == 2
        await at.imagine("a hare", model="skills", by=at.ben)  # other streams are for others
        await at.skills.created(5)
        assert creates(at)[4:] == [CREATE]
        at.skills.release_generations()
        await at.settled(4)
        await at.imagine("a fox again", model="skills")  # the ended streams count no more
        await at.result("a fox again")

    assert creates(at)[5:] == [CREATE]


@pytest.mark.long
async def test_a_restart_goes_on_by_polling(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        assert at.skills.open_streams == 1
    await until(lambda: at.skills.open_streams == 0)
    at.skills.release_generations()
    async with at.easel():
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert creates(at) == [CREATE]


async def test_a_stop_waits_for_no_stream(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel() as app:
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        app.stop()
    await until(lambda: at.skills.open_streams == 0)


@pytest.mark.long
async def test_a_job_that_is_settled_otherwise_closes_its_stream(at: Stage) -> None:
    at.skills.stream_cut = Cut(1, silent=True)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        await at.skills.settled(next(iter(at.skills.generations)))
        at.clock.move(seconds=40)  # until nearly all such jobs have ended
        await at.result("a fox")
        await at.settled()
        await until(lambda: at.skills.open_streams == 0)

    assert polls(at) >= 1


@pytest.mark.long
async def test_a_lost_lease_closes_the_stream(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel() as app:
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        (job,) = await at.jobs()
        worker_of(app)._lost(job.id)
        await until(lambda: at.skills.open_streams == 0)
    at.skills.release_generations()
    async with at.easel():
        await at.result("a fox")
        await at.settled()

    assert creates(at) == [CREATE]


async def test_a_cancel_is_refused_and_the_stream_goes_on(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.said("Drawing")
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        assert at.skills.open_streams == 1
        at.skills.release_generations()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.long
async def test_a_slot_is_free_while_a_stream_is_open(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel():
        for number in range(6):  # a service has four slots
            await at.imagine(f"fox {number}", model="skills")
        await at.skills.created(6)
        assert at.skills.open_streams == 6
        at.skills.release_generations()
        found = await at.settled(6)

    assert {job.status for job in found} == {JobStatus.SUCCEEDED}


@pytest.mark.long
async def test_the_key_is_in_no_line_about_a_stream(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    echo = {"error": {"message": f"no stream for {SKILLS_KEY}"}}
    at.skills.faults.add("POST", STREAM, Answer(406, echo))
    async with at.easel():
        await at.imagine("a fox", model="skills")
        await at.result("a fox")

    assert "no event streams" in caplog.text
    assert SKILLS_KEY not in caplog.text
