"""Deliveries at the limits of Discord: rate limits, edits that give way, requests sent once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import discord
import pytest

from bot.rest_pace import GaveWay
from bot.sandbox.http.faults import Answer
from bot.store.database import Database
from cogs.delivery import discord_delivery
from cogs.delivery.follow_up import NotRepeated, follow_up
from cogs.delivery.messages import Message
from cogs.delivery.removal import remove_messages
from cogs.delivery.timeouts import within
from cogs.ui.panel import notice
from tests.support.delivering import Delivering, delivering, message
from tests.support.ground import Ground, ground

FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
USED_UP = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "9.5"}


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Delivering]:
    async with delivering(database, tmp_path) as made:
        yield made


@pytest.fixture
async def on() -> AsyncIterator[Ground]:
    async with ground() as made:
        yield made


async def test_a_delivery_to_a_limited_channel_says_that_it_waits(by: Delivering) -> None:
    job, _ = await by.on.status()
    await by.deliver(job)
    assert by.waits == 0
    assert by.delivery.limited_channels() == {}

    path = f"/api/v10/channels/{by.on.channel.id}/messages"
    by.delivery._limits.note(path, 200, USED_UP)
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
async def busy(monkeypatch: pytest.MonkeyPatch, client: discord.Client) -> AsyncIterator[None]:
    """Let no status edit have a turn."""

    async def request(*_: object, **__: object) -> None:
        raise GaveWay("no turn in time")

    with monkeypatch.context() as patched:
        patched.setattr(client.http, "request", request)
        yield


async def test_an_erasure_that_gives_way_is_repeated_later(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, status = await on.status()
    async with busy(monkeypatch, on.client):
        with pytest.raises(TimeoutError, match="no turn in time"):
            await remove_messages(on.client, job)

    await remove_messages(on.client, job)
    assert status.deleted


async def test_a_status_edit_that_gives_way_may_be_made_later(
    by: Delivering, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", discord_delivery.__name__)
    job, _ = await by.on.status()

    async def edit(*_: object, **__: object) -> None:
        raise GaveWay("no turn in time")

    monkeypatch.setattr(discord.Webhook, "edit_message", edit)
    assert not await by.delivery.show(job)
    lines = [each for each in caplog.records if each.name == discord_delivery.__name__]
    assert [(each.levelname, each.getMessage()) for each in lines] == [
        ("DEBUG", "status message not edited: no turn in time")
    ]
    assert job.id not in by.delivery._stray_edits  # nothing was sent


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
    on: Ground, once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(_: float) -> None:
        """Repeat at once."""

    job, _ = await on.status(private=True)
    token = job.route.interaction_token
    assert token is not None
    failing = on.fake.faults.add("POST", FOLLOW_UPS, Answer(502, "<html>"))
    monkeypatch.setattr(asyncio, "sleep", sleep)
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
