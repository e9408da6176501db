"""New sessions at the gateway: Discord's daily limit, growing waits, and refusals for good."""

import asyncio
import logging
import re
from datetime import timedelta

import discord.shard
import pytest

from bot.backoff import Backoff
from bot.errors import StartupError
from bot.sandbox.http.faults import Answer
from bot.session_starts import SessionStarts
from tests.support.easel import Stage, gateway_of


@pytest.mark.parametrize("lived", [0.5, 30.0, 299.0, 301.0])
def test_a_day_of_lost_sessions_stays_far_below_discords_limit(lived: float) -> None:
    time = 0.0
    starts = SessionStarts(clock=lambda: time)
    count = 0
    while time < 86400:
        while (wait := starts.wait(0)) > 0:
            time += wait
        starts.start(0)
        count += 1
        time += lived

    assert count < 300


def test_the_first_losses_cost_seconds_and_a_long_session_forgets_them() -> None:
    time = 0.0
    starts = SessionStarts(clock=lambda: time)
    waits = []
    for _ in range(12):
        wait = starts.wait(0)
        waits.append(round(wait))
        time += wait
        starts.start(0)
    time += 301
    assert waits == [0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert starts.wait(0) == 0
    assert starts.wait(1) == 0  # another shard


async def ended(at: Stage, code: int) -> str:
    """Return the line with which the program ends after this close code."""
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        await at.discord.connected()
        await at.discord.drop_gateway(code=code, resumable=False)
        with pytest.raises(ExceptionGroup) as raised:
            await asyncio.wait_for(running, 20)
    (error,) = raised.value.exceptions
    assert isinstance(error, StartupError)
    return str(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4004, "DISCORD_TOKEN"),
        (4010, "invalid shard"),
        (4011, "shards"),
        (4012, "API version"),
        (4013, "invalid intents"),
        (4014, "disallowed intents"),
    ],
)
async def test_a_refusal_for_good_ends_the_program(at: Stage, code: int, words: str) -> None:
    line = await ended(at, code)

    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("code", [4012, 4014])
async def test_a_session_that_is_refused_from_the_start_ends_the_program(
    at: Stage, code: int
) -> None:
    at.discord.gateway.refusal = code
    async with at.app() as app:
        with pytest.raises(ExceptionGroup) as raised:
            await asyncio.wait_for(app.run(), 20)
    (error,) = raised.value.exceptions

    assert f"({code}: " in str(error)


class _Hurried:
    """asyncio for discord.py, whose waits of 5 s are skipped."""

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    async def sleep(self, _: float) -> None:
        await asyncio.sleep(0)


async def test_a_gateway_that_stays_unreachable_is_logged_briefly(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.shard, "asyncio", _Hurried())
    none = Backoff(timedelta(0), timedelta(0))
    monkeypatch.setattr("bot.discord_session.RECONNECTS", none)
    closed = at.discord.faults.add("GET", "/gateway/?", Answer(503, "<html>"), times=4)
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        await at.discord.connected()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    written = [logging.Formatter().format(each) for each in caplog.records if each.exc_info]
    assert closed.hits == 4
    assert len(written) == 8  # by discord.py and by Easel
    assert max(text.count("Traceback") for text in written) == 1


@pytest.mark.long
async def test_no_session_is_started_beyond_the_daily_limit(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.client.LEAST_LIMIT_WAIT", 1.0)
    token = at.discord.gateway.token
    at.discord.gateway.limit.use_up(seconds=8)
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        await at.discord.commands_registered()  # Discord is reached all the same
        assert at.discord.gateway.connections == set()
        await at.discord.connected()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    line = r"no session at Discord for [1-8] s, commands fail: Discord's limit of 1000"
    assert re.search(line, caplog.text)
    assert at.discord.gateway.token == token


async def test_a_limit_that_has_no_end_is_asked_for_once_a_minute(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    limit = {"total": 1000, "remaining": 0, "reset_after": 0, "max_concurrency": 1}
    url = at.discord.gateway.url
    answer = Answer(200, {"url": url, "shards": 1, "session_start_limit": limit})
    at.discord.faults.add("GET", "/api/v10/gateway/bot", answer, times=None)
    async with at.app() as app:
        running = asyncio.create_task(app.run())
        async with asyncio.timeout(20):
            while "no session at Discord" not in caplog.text:
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert "no session at Discord for 60 s, commands fail" in caplog.text


@pytest.mark.long
async def test_results_are_posted_while_a_session_waits(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.manual = True
    async with at.easel() as app:
        await at.imagine("a fox")
        await at.said("Drawing")
        gateway_of(app).starts.waits = Backoff(timedelta(seconds=60), timedelta(seconds=60))
        await at.discord.invalidate_session()
        await at.finish()
        await at.result("a fox")
        async with asyncio.timeout(20):
            while "sessions were lost again and again" not in caplog.text:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        assert at.discord.gateway.live == []
        gateway_of(app).starts.waits = Backoff(timedelta(0), timedelta(0))
