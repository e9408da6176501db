"""Deliveries at the limits of Discord: rate limits, edits that give way, requests sent once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import discord
import pytest

from bot import rest_pace
from bot.clock import ClockWatch
from bot.delivery import Shown
from bot.health import ServiceHealth
from bot.jobs import JobStatus
from bot.observability.metrics import Metrics, trace_discord
from bot.sandbox.http.faults import Answer
from bot.second_copy import CopyWatch
from bot.store.database import Database
from cogs.delivery import discord_delivery
from cogs.delivery.follow_up import NotRepeated, follow_up
from cogs.delivery.messages import Message
from cogs.delivery.removal import remove_messages
from cogs.delivery.timeouts import within
from cogs.ui.panel import notice
from tests.support.delivering import Delivering, delivering, message, with_route
from tests.support.ground import Ground
from tests.support.services import limited

FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


async def test_a_delivery_to_a_limited_channel_says_that_it_waits(by: Delivering) -> None:
    job, _ = await by.on.status()
    await by.deliver(job)
    assert by.waits == 0
    assert by.delivery.limited_channels() == {}

    limited(by.services, by.on.channel.id)
    assert list(by.delivery.limited_channels()) == [by.on.channel.id]
    job, _ = await by.on.status()
    posted = message(by, await by.deliver(job))
    assert posted.nonce == job.id
    assert by.waits == 1


async def test_a_delivery_reads_the_limits_in_the_answers_of_its_client(by: Delivering) -> None:
    trace = aiohttp.TraceConfig()
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace) as client:
        by.delivery.attach(client)
        assert len(trace.on_request_end) == 1
    async with discord.Client(intents=discord.Intents.none()) as plain:
        by.delivery.attach(plain)


@asynccontextmanager
async def busy(
    on: Ground,
    monkeypatch: pytest.MonkeyPatch,
    attach: Callable[[discord.Client], None] = lambda _: None,
) -> AsyncIterator[discord.Client]:
    """Yield a client whose turn for another request comes after hours.

    `attach` gets the client before it logs in.
    """
    monkeypatch.setattr(rest_pace, "GIVE_WAY", 0.05)
    sharers = 0
    clock, pace = ClockWatch(on.now), rest_pace.RestPace(lambda: sharers)
    metrics = Metrics(on.now, ServiceHealth(on.now))
    trace = trace_discord(metrics, clock, CopyWatch(on.now, clock), pace)
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace) as client:
        attach(client)
        await client.login(on.fake.token)
        sharers = 10**6
        await client.fetch_user(on.ada.id)
        yield client


async def test_an_erasure_that_gives_way_is_repeated_later(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, status = await on.status()
    async with busy(on, monkeypatch) as client:
        with pytest.raises(TimeoutError, match="other requests to Discord come first"):
            await remove_messages(client, job)

    await remove_messages(on.client, job)
    assert status.deleted


async def test_a_status_edit_that_gives_way_may_be_made_later(
    by: Delivering, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", discord_delivery.__name__)
    job, status = await by.on.status(status=JobStatus.RUNNING)
    job = with_route(job, token_expires_at=by.on.now())  # edited like a message of the bot's own
    async with busy(by.on, monkeypatch, by.delivery.attach):
        assert not await by.delivery.show(job)
    lines = [each for each in caplog.records if each.name == discord_delivery.__name__]
    assert [(each.levelname, each.getMessage()) for each in lines] == [
        ("DEBUG", "status message not edited: other requests to Discord come first")
    ]
    assert status.text() == "waiting"

    by.delivery.attach(by.on.client)
    canceled = replace(job, status=JobStatus.CANCELED)
    assert await by.deliver(canceled) == Shown(status.id, by.on.channel.id)  # no edit is in doubt


@pytest.mark.parametrize("ends", ["time", "cancel", "error"])
async def test_a_request_that_is_cut_off_lets_others_go_on(on: Ground, ends: str) -> None:
    """It may be the one that all others wait for in a global rate limit."""
    limit = on.client.http._global_over
    limit.clear()

    async def limited() -> None:
        async with within(on.client, 0.01 if ends == "time" else 60):
            if ends == "error":
                raise KeyError
            await asyncio.Event().wait()

    task = asyncio.create_task(limited())
    await asyncio.sleep(0)
    if ends == "cancel":
        task.cancel()
    await asyncio.wait({task})
    assert limit.is_set() is (ends != "error")
    if not task.cancelled():
        assert isinstance(task.exception(), TimeoutError | KeyError)
    limit.set()


@pytest.mark.parametrize("once", [True, False])
async def test_a_follow_up_is_repeated_only_where_a_double_does_no_harm(
    on: Ground, once: bool
) -> None:
    job, _ = await on.status(private=True)
    token = job.route.interaction_token
    assert token is not None
    failing = on.fake.faults.add("POST", FOLLOW_UPS, Answer(502, "<html>"))
    sent = Message(notice("a result"))
    if once:
        with pytest.raises(NotRepeated):
            await follow_up(on.client, job, token, sent, once=True)
        assert len(on.sent("POST")) == 2
    else:
        shown = await follow_up(on.client, job, token, sent)
        (found,) = [each for each in on.fake.world.messages.values() if each.id == int(shown["id"])]
        assert found.ephemeral_to is on.ada
        assert found.text() == "a result"
    assert failing.hits == 1
