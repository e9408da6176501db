"""Services that misbehave, from end to end: every job ends, and the ledger adds up each time."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, Fault, Hold, Reset, Rule, Stall, Truncate
from bot.sandbox.http.service import compact
from bot.sandbox.oxen.responses import completed
from bot.store.audit import verify
from tests.support import cluster
from tests.support.cluster import sqlite_only
from tests.support.easel import Stage
from tests.support.files import picture, png_header

pytestmark = pytest.mark.long

OXEN_ROW, SKILLS_ROW = r"/api/ai/queue/[^/]+", r"/api/v1/generation/gen_\w+"
STREAM = {"Content-Type": "text/event-stream"}
RESULTS = r"/api/repos/.*|/output/.*"

PASSING: list[Fault] = [
    Answer(500, "<html>Internal Server Error</html>"),
    Answer(502, "<html>Bad gateway</html>"),
    Answer(503, {"error": {"message": "Overloaded"}}),
    Answer(504, ""),
    Answer(429, {"error": {"message": "Rate limit exceeded"}}),
    Answer(429, "<html>", {"Retry-After": "1"}),
    Answer(401, {"error": "for a moment"}),
    Answer(404, {"error": {"message": "not there yet"}}),
    Answer(301, "", {"Location": "http://127.0.0.1:9/"}),
    Answer(200, "<html>Maintenance</html>"),
    Answer(200, '{"status": "succee'),
    Answer(200, {}),
    Answer(200, {"status": 7}),
    Answer(200, {"status": "levitating"}),
    Answer(200, {"id": "of-another-job", "status": "succeeded"}),
    Truncate(10),
    Reset(),
    Stall(1),
]


@pytest.fixture(params=["sqlite"])  # the connections to services are tested, no new statement
def database_url(request: pytest.FixtureRequest) -> str:
    return cluster.url_of(request)


def data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@pytest.fixture
async def at(at: Stage) -> AsyncIterator[Stage]:
    """As everywhere; and afterwards, nothing may be held and no sum be wrong."""
    yield at
    jobs = await at.jobs()
    assert all(job.status.settled for job in jobs)
    assert await at.balance() == -sum(job.cost or 0 for job in jobs)
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()


def answers(at: Stage, model: str, *bodies: Fault, times: int | None = 1) -> list[Rule]:
    """What the service answers when it is asked about a generation."""
    service, row = (at.oxen, OXEN_ROW) if model == "oxen" else (at.skills, SKILLS_ROW)
    return [service.faults.add("GET", row, each, times) for each in bodies]


def ended(model: str, *urls: str) -> Answer:
    """That it is finished, with these pictures."""
    images = [{"url": url} for url in urls]
    if model == "oxen":
        return Answer(200, {"status": "succeeded", "images": images})
    return Answer(200, {"status": "COMPLETED", "data": {"images": images}, "usage": {"total": 20}})


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_no_failed_poll_is_a_failed_job(at: Stage, model: str) -> None:
    at.oxen.faults.add("GET", "/api/events", Answer(502, "<html>"), times=None)
    rules = answers(at, model, *PASSING)
    async with at.easel():
        for number in range(9):
            await at.imagine(f"fox {number}", model=model)
        found = await at.settled(9, timeout=45)

    assert {rule.hits for rule in rules} == {1}
    assert {job.status for job in found} == {JobStatus.SUCCEEDED}


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_a_poll_that_is_told_to_wait_waits(at: Stage, model: str) -> None:
    at.oxen.faults.add("GET", "/api/events", Answer(502, ""), times=None)
    (slow,) = answers(at, model, Answer(429, {}, {"Retry-After": "40"}))
    async with at.easel():
        await at.imagine("a fox", model=model)
        await slow.reached()
        await asyncio.sleep(2.5)  # polls come every two seconds
        assert (await at.jobs())[0].status is JobStatus.RUNNING
        at.clock.move(seconds=40)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_a_service_that_is_away_for_a_while_is_waited_for(at: Stage, model: str) -> None:
    """One job that it has, and one that it could not be asked for."""
    service = at.oxen if model == "oxen" else at.skills
    service.manual = True
    async with at.easel():
        await at.imagine("a fox", model=model)
        await at.said("Drawing")
        async with service.unreachable():
            await at.imagine("a hare", model=model)
            async with asyncio.timeout(20):
                while not any(job.submit_after for job in await at.jobs()):
                    await asyncio.sleep(0.05)
            for _ in range(6):  # a minute, in which it is polled again and again
                at.clock.move(seconds=10)
                await asyncio.sleep(0.5)
            assert not any(job.status.settled for job in await at.jobs())
        service.manual = False
        for remote_id in list(service.generations):
            service.finish(remote_id)
        at.clock.move(seconds=60)  # the longest pause between questions whether it is there
        found = await at.settled(2)

    assert {job.status for job in found} == {JobStatus.SUCCEEDED}
    assert len(service.generations) == 2


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_an_answer_that_stalls_holds_nobody_up(at: Stage, model: str) -> None:
    async with at.easel():
        (held,) = answers(at, model, Hold())
        await at.imagine("a slow fox", model=model)
        await held.reached()
        await at.imagine("a quick hare", model=model)
        await at.result("quick hare")
        held.release()
        found = await at.settled(2)

    assert {job.status for job in found} == {JobStatus.SUCCEEDED}


@pytest.mark.parametrize("count", [1, 3])
async def test_a_creation_that_is_its_end_is_settled(at: Stage, count: int) -> None:
    at.skills.at_once = True
    async with at.easel():
        await at.imagine("a fox", model="skills", count=count)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert len(result.pictures()) == count
    assert job.cost == count * 20_000


@sqlite_only  # the answer is judged before anything is stored
@pytest.mark.parametrize("model", ["oxen", "skills"])
@pytest.mark.parametrize(("asked", "sent", "shown"), [(1, 3, 3), (2, 12, 10), (3, 1, 1)])
async def test_more_or_fewer_pictures_than_asked_are_shown(
    at: Stage, model: str, asked: int, sent: int, shown: int
) -> None:
    pictures = [data(picture(size=(20 + number, 20))) for number in range(sent)]
    if model == "oxen":  # where each picture has its own generation
        answers(at, model, ended(model, *pictures))
        answers(at, model, Answer(200, {"status": "failed"}), times=asked - 1)
    else:
        answers(at, model, ended(model, *pictures))
    async with at.easel():
        await at.imagine("a fox", model=model, count=asked)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert len(result.pictures()) == shown
    assert ("made 1 of 3 pictures" in result.text()) == (sent == 1)
    assert job.status is JobStatus.SUCCEEDED


NO_PICTURES = {
    "nothing": [],
    "a page": [data(b"<html>no picture</html>")],
    "cut off": [data(picture()[:20])],
    "a bomb": [data(png_header(20_000, 20_000))],
    "no base64": ["data:image/png;base64,***"],
    "half a surrogate pair": ["data:image/png,\ud800"],
    "a private address": ["http://10.1.2.3/a.png"],
    "the metadata service": ["http://169.254.169.254/latest/meta-data"],
}


@sqlite_only  # the answer is judged before anything is stored
@pytest.mark.parametrize("model", ["oxen", "skills"])
@pytest.mark.parametrize("kind", NO_PICTURES)
async def test_an_end_without_a_picture_fails_uncharged(at: Stage, model: str, kind: str) -> None:
    answers(at, model, ended(model, *NO_PICTURES[kind]), times=None)
    async with at.easel():
        await at.imagine("a fox", model=model)
        await at.said("finished without a picture")
        (job,) = await at.settled()

    assert (job.status, job.reason, job.cost) == (JobStatus.FAILED, Reason.NO_PICTURE, None)


async def test_one_good_picture_among_bad_ones_is_shown(at: Stage) -> None:
    bad = [url for urls in NO_PICTURES.values() for url in urls]
    answers(at, "skills", ended("skills", *bad, data(picture())))
    async with at.easel():
        await at.imagine("a fox", model="skills")
        result = await at.result("a fox")
        await at.settled()

    assert len(result.pictures()) == 1


async def test_a_cost_that_skills_never_tells_is_estimated_by_the_price(at: Stage) -> None:
    images = {"data": {"images": [{"url": data(picture())}]}}
    answers(at, "skills", Answer(200, {"status": "COMPLETED", **images}), times=None)
    async with at.easel():
        await at.imagine("a fox", model="skills")
        (job,) = await at.settled()

    assert (job.status, job.cost, job.estimated) == (JobStatus.SUCCEEDED, 20_000, True)
    assert await at.balance() == -20_000


async def test_a_result_that_leads_into_a_private_network_is_not_fetched(at: Stage) -> None:
    redirect = Answer(302, "", {"Location": "http://10.1.2.3/a.png"})
    at.oxen.faults.add("GET", RESULTS, redirect, times=None)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.said("finished without a picture")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NO_PICTURE)
    assert await at.balance() == 0


async def test_a_result_on_another_host_is_fetched_without_the_key(at: Stage) -> None:
    at.oxen.redirect_results = True
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.settled()

    fetched = [each.authorized for each in at.oxen.requests if each.site == "cdn"]
    assert fetched == [False]
    assert any(each.authorized for each in at.oxen.requests if "/repos/" in each.path)


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_an_address_that_has_expired_is_asked_for_anew(at: Stage, model: str) -> None:
    service = at.oxen if model == "oxen" else at.skills
    expired = [service.faults.add("GET", RESULTS, Answer(403, "expired")) for _ in range(2)]
    expired.append(service.faults.add("GET", RESULTS, Truncate(100)))
    async with at.easel():
        await at.imagine("a fox", model=model)
        (job,) = await at.settled()

    assert [rule.hits for rule in expired] == [1, 1, 1]
    assert job.status is JobStatus.SUCCEEDED


async def test_a_picture_that_can_never_be_had_fails_the_job_in_the_end(at: Stage) -> None:
    gone = at.skills.faults.add("GET", RESULTS, Answer(404, "gone"), times=None)
    async with at.easel(job_timeout=60):
        await at.imagine("a fox", model="skills")
        await gone.reached(hits=2)
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(seconds=20)  # the time-out, and three minutes more
                await asyncio.sleep(0.1)
        (job,) = await at.settled()

    assert (job.status, job.reason, job.cost) == (JobStatus.FAILED, Reason.NO_PICTURE, None)


async def test_a_stream_that_breaks_off_delays_and_loses_nothing(at: Stage) -> None:
    """In the middle of an event, and then without a word."""
    half = b'event: media_generation_completed\ndata: {"generation_id":'
    broken = at.oxen.faults.add("GET", "/api/events", Answer(200, half, STREAM))
    at.oxen.manual = True
    async with at.easel():
        await broken.reached()
        await at.imagine("a fox", model="oxen")
        await at.said("Drawing")
        await at.oxen.listening()
        at.oxen.drop_streams()
        await at.finish()
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


async def test_a_stream_that_is_cut_at_any_byte_of_an_event_loses_nothing(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it tells before it is true ends nothing."""
    monkeypatch.setattr("bot.worker.events.STREAM_RETRY", 0.01)
    at.oxen.manual = True
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen", count=4)
        generations = await at.oxen.created(12)
        told = [
            f"event: media_generation_completed\ndata: {compact(completed(each, '/a.png'))}\n\n"
            for each in generations
        ]
        cuts = [
            at.oxen.faults.add("GET", "/api/events", Answer(200, told[cut % 12][:cut], STREAM))
            for cut in range(max(map(len, told)) + 1)
        ]
        at.oxen.drop_streams()
        await cuts[-1].reached(60)
        assert {job.status for job in await at.jobs()} == {JobStatus.RUNNING}
        await at.oxen.listening()
        await at.finish()
        found = await at.settled(3)

    assert {rule.hits for rule in cuts} == {1}
    assert {job.status for job in found} == {JobStatus.SUCCEEDED}
