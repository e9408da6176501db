"""The connection to Discord breaks: the bot reconnects, and jobs go on meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, Fault, Reset
from tests.support.easel import Stage, text_of

pytestmark = pytest.mark.long

Trouble = Callable[[Stage], Awaitable[None]]


def malformed(event: str, data: dict[str, Any] | None) -> Trouble:
    return lambda at: at.discord.dispatch_malformed(event, data)


def dropped(code: int, *, resumable: bool = True) -> Trouble:
    return lambda at: at.discord.drop_gateway(code=code, resumable=resumable)


async def unreachable(at: Stage) -> None:
    """Make Discord unreachable for a moment."""
    async with at.discord.unreachable():
        await at.discord.disconnected()
        await asyncio.sleep(0.5)


TROUBLES: dict[str, Trouble] = {
    "dropped, and resumed": dropped(4000),
    "dropped, not resumable": dropped(4000, resumable=False),
    "timed out": dropped(4009, resumable=False),
    "service restart": dropped(1012),
    "asked to reconnect": lambda at: at.discord.request_reconnect(),
    "the session is void": lambda at: at.discord.invalidate_session(),
    "an empty interaction": malformed("INTERACTION_CREATE", {}),
    "a server without an id": malformed("GUILD_CREATE", {"id": None, "unavailable": False}),
    "a thread without an id": malformed("THREAD_UPDATE", {"guild_id": "1", "id": {}}),
    "no data": malformed("GUILD_UPDATE", None),
    "an unknown event": malformed("SOMETHING_NEW", {"a": [1]}),
    "a frame that is no payload": lambda at: at.discord.send_garbage(
        b"\x00garbage\x00\x00\xff\xff"
    ),
    "unreachable": unreachable,
}


async def replies_again(at: Stage, timeout: float = 30.0) -> None:
    """Repeat a command, as a member does, until the reply arrives within three seconds."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                text_of(await at.command("usage"))
            except TimeoutError:
                continue
            return


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_the_bot_reconnects_and_jobs_end_as_usual(at: Stage, trouble: Trouble) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        await trouble(at)
        await replies_again(at)
        await at.imagine("a hare", by=at.ben)
        await at.oxen.created(2)
        await at.finish()
        await at.result("a hare")
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert result.pings == [at.ada.id]
    assert asked.message is not None
    assert len([m for m in at.discord.channel_messages(at.channel) if m.pictures()]) == 2
    assert len(at.created()) == 2


@pytest.mark.parametrize(
    "trouble",
    [TROUBLES["dropped, not resumable"], TROUBLES["an empty interaction"], unreachable],
    ids=["dropped", "malformed", "unreachable"],
)
async def test_a_job_that_settles_meanwhile_is_delivered_once(at: Stage, trouble: Trouble) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        await asyncio.gather(trouble(at), at.finish())
        await at.settled(timeout=90)

    assert len([m for m in at.discord.channel_messages(at.channel) if m.pictures()]) == 1


async def test_three_unreadable_events_in_a_row(at: Stage) -> None:
    """Each replaces the client."""
    async with at.easel():
        for _ in range(3):
            before = {session.id for session in at.discord.gateway.live}
            await at.discord.dispatch_malformed("INTERACTION_CREATE", {})
            async with asyncio.timeout(20):
                while {session.id for session in at.discord.gateway.live} <= before:
                    await asyncio.sleep(0.05)
        await replies_again(at)


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_bot_that_is_stopped_during_a_reconnect_ends(at: Stage, resumable: bool) -> None:
    """discord.py itself would go on (bot.client, `serve`)."""
    async with at.easel() as app:
        closed = at.discord.faults.add("GET", "/gateway/?", Answer(503, "<html>"), times=None)
        await at.discord.drop_gateway(resumable=resumable)
        await closed.reached()
        app.stop()  # the end of the block waits for the end of the bot
    assert at.discord.gateway.live == []


async def test_the_start_waits_for_an_unreachable_discord(at: Stage) -> None:
    gone = at.discord.unreachable()
    await gone.__aenter__()

    async def comes_back() -> None:
        await asyncio.sleep(1.5)
        await gone.__aexit__(None, None, None)

    coming = asyncio.create_task(comes_back())
    async with at.easel():
        await coming
        await replies_again(at)
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/gateway/?", Answer(503, "<html>")),
        ("/gateway/?", Reset()),
        ("/api/v10/gateway/bot", Answer(503, "<html>")),
        ("/api/v10/gateway/bot", Answer(200, "not JSON")),
        ("/api/v10/users/@me", Answer(503, {})),
        ("/api/v10/users/@me", Answer(200, {})),
        ("/api/v10/oauth2/applications/@me", Reset()),
        ("/api/v10/applications/.*", Answer(503, {})),
    ],
    ids=str,
)
async def test_a_login_that_fails_is_retried(at: Stage, path: str, fault: Fault) -> None:
    failed = at.discord.faults.add("*", path, fault)
    async with at.easel():
        await replies_again(at)

    assert failed.hits == 1
