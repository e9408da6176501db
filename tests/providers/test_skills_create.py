"""When skills.video is asked for a stream, and which outcome leads to a request without one."""

import asyncio
import logging

import aiohttp
import pytest

from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest
from bot.providers.base import Canceled, Failed, Finished, Running, Submission, Update, Waiting
from bot.providers.skills import SKILLS, create
from bot.providers.skills.model import SkillsSettings
from bot.providers.skills.provider import Skills
from bot.providers.skills.rows import Reader, row_of
from tests.providers.clients import MEMBER, skills_at
from tests.providers.server import Reply, Service, raw
from tests.providers.test_skills_stream import HEAD, events, row

REQUEST = GenerationRequest("skills", "a cat")
TAKEN = Reply(200, row("IN_QUEUE"))
EVENT_STREAM = {"Content-Type": "text/event-stream"}


@pytest.fixture
def skills(session: aiohttp.ClientSession, api_service: Service) -> Skills:
    return skills_at(session, api_service.url)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the creator's clock."""
    now = [1000.0]
    monkeypatch.setattr(create, "elapsed", lambda: now[0])
    return now


async def refused(skills: Skills) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await skills.submit(REQUEST, MEMBER)
    return caught.value


def streamed(api_service: Service) -> list[bool]:
    """Whether each request was for a stream."""
    return ["/sse/" in each.path for each in api_service.asked]


async def test_no_stream_is_opened_for_ten_minutes_after_an_unknown_outcome(
    skills: Skills, api_service: Service, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api_service.says(Reply(502, "bad gateway"), TAKEN)
    assert (await refused(skills)).taken is Taken.DOUBTFUL
    for moment in (1000.0, 1599.9, 1600.0):
        clock[0] = moment
        await skills.submit(REQUEST, MEMBER)

    assert streamed(api_service) == [True, False, False, True]
    assert caplog.text.count("none is opened for 10 minutes") == 1


@pytest.mark.parametrize(("status", "taken"), [(429, Taken.NO), (402, Taken.REFUSED)])
async def test_a_known_outcome_leaves_the_streams_open(
    skills: Skills, api_service: Service, clock: list[float], status: int, taken: Taken
) -> None:
    api_service.says(Reply(status, ""), TAKEN)
    assert (await refused(skills)).taken is taken
    await skills.submit(REQUEST, MEMBER)

    assert streamed(api_service) == [True, True]


@pytest.mark.parametrize(
    ("plain", "again"),
    [
        (TAKEN, False),
        (Reply(404, {"error": "Model not found"}), True),  # nothing is known of the streams
        (Reply(402, ""), False),
        (Reply(500, ""), False),
        (Reply(503, {"error": "Model not found"}), False),
    ],
    ids=range(5),
)
async def test_an_api_without_streams_is_remembered_unless_the_model_is_unknown(
    skills: Skills,
    api_service: Service,
    plain: Reply,
    again: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    api_service.says(Reply(405, ""), plain, TAKEN)
    try:
        await skills.submit(REQUEST, MEMBER)
    except ProviderError:
        assert plain is not TAKEN
    await skills.submit(REQUEST, MEMBER)

    assert streamed(api_service) == [True, False, again]
    assert ("no event streams at skills.video" in caplog.text) is not again


async def test_a_stream_is_open_until_the_submission_is_closed(
    session: aiohttp.ClientSession,
) -> None:
    async with raw(HEAD + events(row("IN_PROGRESS")), hang=True) as url:
        skills = skills_at(session, url, SKILLS_STREAM_MAX="2")
        first = await skills.submit(REQUEST, MEMBER)
        other = await skills.submit(REQUEST, 8)
        assert first.stream is not None
        assert other.stream is not None
        assert skills._creator._open == {MEMBER: 1, 8: 1}
        for _ in range(2):
            first.close()
        assert skills._creator._open == {8: 1}
        other.close()
        assert not skills._creator._open
    Submission(()).close()


@pytest.mark.parametrize(
    ("sent", "is_open"),
    [
        (row("IN_QUEUE"), True),
        ({"id": "gen_1"}, True),
        (row("COMPLETED"), True),  # its pictures follow
        (row("FAILED"), False),
        (row("CANCELED"), False),
    ],
    ids=str,
)
async def test_a_stream_is_followed_while_more_may_come(
    session: aiohttp.ClientSession, sent: dict[str, object], is_open: bool
) -> None:
    async with raw(HEAD + events(sent), hang=True) as url:
        skills = skills_at(session, url)
        submission = await skills.submit(REQUEST, MEMBER)
        assert (submission.stream is not None) is is_open
        assert bool(skills._creator._open) is is_open
        submission.close()


async def test_an_error_in_the_first_event_is_a_refusal_by_its_words(
    skills: Skills, api_service: Service
) -> None:
    for error, reason in (
        ({"error": "x", "message": "insufficient credits"}, Reason.CREDITS),
        ({"message": "flagged"}, Reason.REJECTED),
    ):
        api_service.says(Reply(200, events({"status": "x"}, error), EVENT_STREAM))
        found = await refused(skills)
        assert (found.reason, found.taken) == (reason, Taken.REFUSED)


async def test_the_time_until_the_first_event_is_limited(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (create.SUBMIT_TIMEOUT, create.SILENCE) == (60.0, 120.0)
    monkeypatch.setattr(create, "SUBMIT_TIMEOUT", 0.2)
    for answer in (b"", HEAD + b": hello\n\n"):
        async with raw(answer, hang=True) as url:
            skills = skills_at(session, url)
            with pytest.raises(ProviderError, match="no event within 0 s") as caught:
                await skills.submit(REQUEST, MEMBER)
        assert (caught.value.reason, caught.value.taken) == (Reason.TIMEOUT, Taken.DOUBTFUL)


async def test_a_plain_request_is_limited_too(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "SUBMIT_TIMEOUT", 0.2)
    async with raw(b"", hang=True) as url, asyncio.timeout(20):
        skills = skills_at(session, url, SKILLS_STREAM="off")
        assert (await refused(skills)).reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"id": "1", "data": {"id": "2"}}, "1"),
        ({"data": {"id": "2"}, "generation": {"id": "3"}}, "2"),
        ({"data": {}, "generation": {"id": "3"}, "prediction": {"id": "4"}}, "3"),
        ({"prediction": {"task_id": 4}}, "4"),
        ({"other": {"id": "5"}}, None),
        ([{"id": "6"}], None),
    ],
    ids=str,
)
def test_the_outermost_id_names_the_generation(body: object, found: str | None) -> None:
    named = row_of(body)
    assert [each for each in (named.get("id"), named.get("task_id")) if each] == (
        [] if found is None else [int(found) if found == "4" else found]
    )


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        ({}, Waiting()),
        ({"status": " "}, Waiting()),
        ({"status": "", "state": "running"}, Running()),
        ({"status": "completed"}, Running(ended=True)),
        ({"status": "completed", "output": "https://x/1"}, Finished(("https://x/1",))),
        ({"status": "failed", "message": "flagged"}, Failed(Reason.REJECTED, "flagged")),
        ({"status": "canceled"}, Canceled()),
    ],
    ids=str,
)
def test_the_first_answer_may_lack_the_status_or_the_pictures(
    sent: dict[str, object], first: Update
) -> None:
    reader = Reader(skills_at()._api)
    assert reader.first_update(sent) == first
    if first != Waiting():
        return
    with pytest.raises(ProviderError, match="a generation without a status"):
        reader.update(sent)


def test_the_settings_of_the_streams_have_bounds() -> None:
    settings = SkillsSettings.load(None, {"SKILLS_API_KEY": "k"})
    assert (settings.stream, settings.stream_max, settings.floor) == ("auto", 200, None)
    (spec,) = SKILLS.specs(settings)
    assert (spec.price, spec.cancels, spec.max_inputs) == (20_000, False, 4)
    assert SKILLS.credits_of is not None
