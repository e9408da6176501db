"""Repeated attempts to deliver a job: searched for, doubled nowhere, each link sent once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.delivery import NotDelivered, Shown
from bot.jobs import Job, Notify
from bot.sandbox.http.faults import Answer, AnswerAfter
from bot.store.database import Database
from cogs.delivery import destinations, discord_delivery
from tests.support.delivering import MINUTE, Delivering, delivering, message, with_route

POSTS = r"/api/v10/channels/\d+/messages"
HOOKS = r"/api/v10/webhooks/.*"
FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
BUSY = Answer(503, {"code": 0, "message": "busy"})
PAGE = Answer(429, "<html>Too many</html>")  # of a proxy
EXPLICIT = Answer(400, {"code": 20009, "message": "Explicit"})


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


async def test_a_second_attempt_finds_the_post_of_the_first(by: Delivering) -> None:
    by.on.fake.faults.add("POST", POSTS, AnswerAfter(503, {"code": 0, "message": "no"}))
    job, status = await by.on.status()
    with pytest.raises(NotDelivered, match="DiscordServerError"):
        await by.deliver(job)
    (posted,) = [each for each in by.on.fake.channel_messages(by.on.channel) if each.nonce]
    shown = await by.deliver(job, number=2)

    assert message(by, shown) is posted
    assert len([path for path in by.on.sent("POST") if path.startswith("/channels/")]) == 1
    assert status.deleted


async def test_a_channel_that_surely_has_nothing_is_not_searched(by: Delivering) -> None:
    by.on.fake.faults.add("POST", POSTS, Answer(403, {"code": 40003, "message": "too fast"}))
    job, _ = await by.on.status()
    with pytest.raises(NotDelivered) as raised:
        await by.deliver(job)
    await by.deliver(job, number=2)

    assert raised.value.retry_after == 60
    assert [path for path in by.on.sent("GET") if path.startswith("/channels/")] == []


async def test_attempts_of_another_process_are_searched_for_first(by: Delivering) -> None:
    job, _ = await by.on.status()
    elsewhere = await by.on.post("a fox", ids=job.secret)

    assert await by.deliver(job, number=2) == Shown(elsewhere.id, by.on.channel.id)
    assert not [path for path in by.on.sent("POST") if path == f"/channels/{by.on.channel.id}"]


async def test_of_two_memories_the_attempts_of_the_oldest_job_are_forgotten(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts that are forgotten are searched for, like those of another process."""
    monkeypatch.setattr(discord_delivery, "REMEMBERED", 2)
    refused = Answer(403, {"code": 40003, "message": "too fast"})
    by.on.fake.faults.add("POST", POSTS, refused, times=None)

    async def searches(job: Job, number: int) -> bool:
        before = len(by.on.sent("GET"))
        with pytest.raises(NotDelivered):
            await by.deliver(job, number=number)
        return f"/channels/{by.on.channel.id}/messages" in by.on.sent("GET")[before:]

    first, second, third = [(await by.on.status())[0] for _ in range(3)]
    assert not await searches(first, 1)
    assert not await searches(second, 1)
    assert not await searches(first, 2)
    assert not await searches(third, 1)
    assert await searches(second, 2)
    assert not await searches(third, 2)


async def test_a_first_attempt_knows_nothing_of_earlier_ones(by: Delivering) -> None:
    by.on.fake.faults.add("POST", POSTS, AnswerAfter(503, {"code": 0, "message": "no"}))
    job, _ = await by.on.status()
    with pytest.raises(NotDelivered):
        await by.deliver(job)
    await by.deliver(job)

    assert [path for path in by.on.sent("GET") if path.startswith("/channels/")] == []


@pytest.mark.parametrize("earlier", [False, True])
async def test_a_link_is_not_sent_for_a_result_that_an_earlier_run_has_posted(
    by: Delivering, earlier: bool
) -> None:
    job, _ = await by.on.status()
    job = with_route(job, notify=Notify.DIRECT)
    if earlier:
        await by.on.post("a fox", ids=job.secret)
    await by.deliver(job, number=2)

    assert len(by.direct()) == (not earlier)


async def test_a_link_is_sent_once_although_the_status_message_is_ended_later(
    by: Delivering,
) -> None:
    by.on.fake.faults.add("DELETE", HOOKS, PAGE)
    job, status = await by.on.status()
    job = with_route(job, notify=Notify.DIRECT)
    with pytest.raises(NotDelivered) as raised:
        await by.deliver(job)
    shown = raised.value.shown
    assert shown is not None
    await by.deliver(job, number=2)
    stored = replace(job, result_message_id=shown.message_id, result_channel_id=by.on.channel.id)
    assert await by.deliver(stored, number=3) == shown

    assert len(by.direct()) == 1
    assert status.deleted


async def test_within_two_minutes_a_post_in_doubt_is_repeated_without_a_search(
    by: Delivering,
) -> None:
    by.on.fake.faults.add("POST", POSTS, AnswerAfter(503, {"code": 0, "message": "no"}))
    by.on.fake.faults.add("GET", POSTS, BUSY, times=None)
    job, _ = await by.on.status()
    with pytest.raises(NotDelivered):
        await by.deliver(job)
    first = replace(job, delivery_started_at=by.on.now())
    (posted,) = [each for each in by.on.fake.channel_messages(by.on.channel) if each.nonce]
    by.on.moved = 2 * MINUTE
    with pytest.raises(NotDelivered):
        await by.deliver(first, number=2)
    by.on.moved = timedelta(0)
    assert message(by, await by.deliver(first, number=3)) is posted


async def test_a_refusal_long_after_the_post_may_be_that_of_a_repeat(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """discord.py repeats a request a second after a 5xx."""
    seconds = iter((10.0, 11.0))
    monkeypatch.setattr(destinations, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    by.on.fake.faults.add("POST", POSTS, AnswerAfter(403, {"code": 50013, "message": "no"}))
    job, _ = await by.on.status()
    shown = await by.deliver(job)

    assert message(by, shown).channel is by.on.channel
    assert by.delivered() == {"channel": 1}


async def test_a_search_after_the_refusal_of_a_repeat_ends_the_doubt(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((10.0, 11.0, *[20.0] * 9))
    monkeypatch.setattr(destinations, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    refused = Answer(403, {"code": 50013, "message": "no"})
    by.on.fake.faults.add("POST", POSTS, refused, times=2)
    by.on.fake.faults.add("PATCH", HOOKS, PAGE)
    job, status = await by.on.status()
    with pytest.raises(NotDelivered):
        await by.deliver(job)
    searches = [f"/channels/{by.on.channel.id}/messages"]
    assert [path for path in by.on.sent("GET") if path.startswith("/channels/")] == searches
    assert await by.deliver(job, number=2) == Shown(status.id, by.on.channel.id)
    assert [path for path in by.on.sent("GET") if path.startswith("/channels/")] == searches


async def test_a_refusal_within_a_second_is_that_of_the_only_post(
    by: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((10.0, 10.9, *[20.0] * 9))
    monkeypatch.setattr(destinations, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    by.on.fake.faults.add("POST", POSTS, Answer(403, {"code": 50013, "message": "no"}))
    job, status = await by.on.status()

    assert await by.deliver(job) == Shown(status.id, by.on.channel.id)
    assert [path for path in by.on.sent("GET") if path.startswith("/channels/")] == []


async def test_a_follow_up_is_sent_once(by: Delivering) -> None:
    """After an unknown outcome, the result is sent to the direct messages."""
    by.on.fake.faults.add("PATCH", HOOKS, EXPLICIT, times=None)
    sent = by.on.fake.faults.add("POST", FOLLOW_UPS, AnswerAfter(200, {}), times=None)
    job, _ = await by.on.status(private=True)
    with pytest.raises(KeyError):
        await by.deliver(job, await by.picture())
    await by.deliver(job, number=2)

    assert sent.hits == 1
    assert len(by.direct()) == 1
