"""Creating by an event stream, against what no faithful stand-in would send."""

import asyncio
import json
import time
from collections.abc import Mapping

import aiohttp
import pytest

from bot.errors import ProviderError, Reason, Taken
from bot.http_client import open_session
from bot.jobs import GenerationRequest
from bot.providers.base import Finished, Running, Stream, Submitted, Waiting
from bot.providers.skills import create
from bot.providers.skills.provider import Skills
from bot.sandbox.skills.server import FakeSkills
from tests.providers.clients import MEMBER, skills_at
from tests.providers.server import Reply, Service, raw

REQUEST = GenerationRequest("skills", "a cat")
URL = "https://cdn.example.com/output/cat.png"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"id": "gen_1"}'
DONE = {"id": "gen_1", "status": "COMPLETED", "data": {"images": [{"url": URL}]}}


def events(*rows: Mapping[str, object] | str) -> bytes:
    texts = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    return b"".join(f"data: {text}\n\n".encode() for text in texts)


def row(status: str, **more: object) -> dict[str, object]:
    return {"id": "gen_1", "status": status, "data": None, **more}


async def ends_of(skills: Skills) -> tuple[list[Submitted], list[str]]:
    """Submit once, and return the generations and the ends in their stream."""
    submission = await skills.submit(REQUEST, MEMBER)
    try:
        ends = [each async for each in submission.stream.ends()] if submission.stream else []
    finally:
        submission.close()
        submission.close()
    assert not skills._creator._open
    return [*submission.generations], ends


@pytest.mark.parametrize("hang", [True, False])
@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELED", "failed", "cancelled"])
async def test_an_end_is_reported_once(
    session: aiohttp.ClientSession, status: str, hang: bool
) -> None:
    sent = events(row("IN_QUEUE"), row("IN_PROGRESS"), row(status), row(status))
    async with raw(HEAD + b": hello\n\n" + sent, hang=hang) as url:
        found = await ends_of(skills_at(session, url))

    assert found == ([Submitted("gen_1", Waiting())], ["gen_1"])


@pytest.mark.parametrize(
    "more",
    [
        b"",
        events(row("IN_PROGRESS"), {"id": "gen_2", "status": "COMPLETED"}, {"status": "FAILED"}),
        events("{", "7", "[]", "null", "[DONE]", "[" * 100_000, '{"id": "gen_1"}'),
        events(row("LEVITATING"), {"id": "gen_1", "error": {"message": "for a moment"}}),
        b"data: \xff\xfe\n\n\0\r\r\n",
        b"data: " + b"9" * 2**21,
        b"\n" * 2**21,
    ],
    ids=range(7),
)
async def test_anything_else_ends_the_stream_without_an_end(
    session: aiohttp.ClientSession, more: bytes
) -> None:
    async with raw(HEAD + events(row("IN_QUEUE")) + more) as url:
        found = await ends_of(skills_at(session, url))

    assert found == ([Submitted("gen_1", Waiting())], [])


async def test_a_first_event_that_is_the_end_needs_no_stream(
    session: aiohttp.ClientSession,
) -> None:

    async with raw(HEAD + events(DONE), hang=True) as url:
        skills = skills_at(session, url)
        submission = await skills.submit(REQUEST, MEMBER)

    assert submission.generations == (Submitted("gen_1", Finished((URL,))),)
    assert submission.stream is None
    assert not skills._creator._open


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (b"", Taken.DOUBTFUL),
        (events({"status": "IN_QUEUE"}, "7", "{"), Taken.DOUBTFUL),
        (b"data: " + b"9" * 2**21, Taken.DOUBTFUL),
        (b"\n" * 2**21, Taken.DOUBTFUL),
        (events({"error": "X", "code": "IMAGE_GENERATION_INVALID_INPUT"}), Taken.REFUSED),
    ],
    ids=range(5),
)
async def test_without_an_id_it_is_sent_once(
    session: aiohttp.ClientSession, sent: bytes, taken: Taken
) -> None:
    async with raw(HEAD + sent) as url:
        skills = skills_at(session, url)
        with pytest.raises(ProviderError) as caught:
            await skills.submit(REQUEST, MEMBER)

    assert caught.value.taken is taken
    assert not skills._creator._open


async def test_a_stream_without_an_event_is_given_up(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "SUBMIT_TIMEOUT", 0.2)
    async with raw(HEAD, hang=True) as url:
        with pytest.raises(ProviderError) as caught:
            await skills_at(session, url).submit(REQUEST, MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.TIMEOUT, Taken.DOUBTFUL)


async def test_without_a_connection_nothing_was_taken(session: aiohttp.ClientSession) -> None:
    async with raw(b"") as url:
        pass
    with pytest.raises(ProviderError) as caught:
        await skills_at(session, url).submit(REQUEST, MEMBER)

    assert caught.value.taken is Taken.NO


async def test_after_an_unknown_outcome_the_plain_create_is_used_for_a_while(
    session: aiohttp.ClientSession, api_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    skills = skills_at(session, api_service.url)
    api_service.says(Reply(502, "bad gateway"), Reply(200, row("IN_QUEUE")))
    with pytest.raises(ProviderError):
        await skills.submit(REQUEST, MEMBER)
    await skills.submit(REQUEST, MEMBER)
    monkeypatch.setattr(create, "elapsed", lambda: time.monotonic() + 10**9)
    await skills.submit(REQUEST, MEMBER)

    assert ["/sse/" in each.path for each in api_service.asked] == [True, False, True]


async def test_a_plain_create_that_is_limited_says_that_there_are_no_streams(
    session: aiohttp.ClientSession, api_service: Service
) -> None:
    skills = skills_at(session, api_service.url)
    api_service.says(Reply(405, ""), Reply(429, ""), Reply(200, row("IN_QUEUE")))
    with pytest.raises(ProviderError) as caught:
        await skills.submit(REQUEST, MEMBER)
    await skills.submit(REQUEST, MEMBER)

    assert caught.value.taken is Taken.NO
    assert ["/sse/" in each.path for each in api_service.asked] == [True, False, False]


async def test_a_cancelled_submit_leaves_no_stream_open(session: aiohttp.ClientSession) -> None:
    async with raw(HEAD, hang=True) as url:
        skills = skills_at(session, url)
        submitting = asyncio.create_task(skills.submit(REQUEST, MEMBER))
        async with asyncio.timeout(20):
            while not skills._creator._open:
                await asyncio.sleep(0.01)
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)

    assert submitting.cancelled()
    assert not skills._creator._open


async def test_a_stream_that_is_closed_elsewhere_ends(session: aiohttp.ClientSession) -> None:
    async with raw(HEAD + events(row("processing")), hang=True) as url:
        submission = await skills_at(session, url).submit(REQUEST, MEMBER)
        assert submission.generations == (Submitted("gen_1", Running()),)
        assert submission.stream is not None
        ends = asyncio.create_task(anext(submission.stream.ends(), None))
        await asyncio.sleep(0.05)
        submission.close()
        async with asyncio.timeout(20):
            assert await ends is None


async def test_a_member_has_as_many_streams_as_are_free(session: aiohttp.ClientSession) -> None:
    async with FakeSkills(permanent=10_000) as service:
        service.hold_generations()
        more = {"SKILLS_API_URL": service.url, "SKILLS_STREAM_MAX": "8"}
        skills = skills_at(session, key=service.key, **more)
        opened = {member: await open_streams(skills, member, 8) for member in range(4)}
        assert [len(each) for each in opened.values()] == [4, 2, 1, 1]
        for stream in opened[0]:
            stream.close()
        later = [len(await open_streams(skills, member, 8)) for member in (0, 1, 0)]

    assert later == [2, 0, 0]  # two are free, and the second member has two already


async def open_streams(skills: Skills, member: int, number: int) -> list[Stream]:
    """Send so many requests of a member, and return the streams among the answers."""
    submissions = [await skills.submit(REQUEST, member) for _ in range(number)]
    return [each.stream for each in submissions if each.stream]


async def test_many_open_streams_leave_connections_to_other_requests() -> None:
    async with raw(HEAD + events(row("IN_QUEUE")), hang=True) as url, open_session() as session:
        skills = skills_at(session, url, SKILLS_STREAM_MAX="150")
        submissions = [await skills.submit(REQUEST, member) for member in range(150)]
        assert all(each.stream for each in submissions)
        async with raw(ANSWER) as other, asyncio.timeout(20):
            beyond = await skills_at(session, other).submit(REQUEST, MEMBER)
        for each in submissions:
            each.close()

    assert beyond.generations == (Submitted("gen_1", Waiting()),)
