"""The connection to Discord breaks in every way: the bot comes back, and its jobs have gone on."""

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


async def away(at: Stage) -> None:
    """Nothing of Discord can be reached for a moment."""
    async with at.discord.unreachable():
        await at.discord.disconnected()
        await asyncio.sleep(0.5)


TROUBLES: dict[str, Trouble] = {
    "dropped, and resumed": dropped(4000),
    "dropped, and forgotten": dropped(4000, resumable=False),
    "timed out": dropped(4009, resumable=False),
    "restarted over there": dropped(1012),
    "asked to reconnect": lambda at: at.discord.request_reconnect(),
    "the session is void": lambda at: at.discord.invalidate_session(),
    "an empty interaction": malformed("INTERACTION_CREATE", {}),
    "a server without an id": malformed("GUILD_CREATE", {"id": None, "unavailable": False}),
    "a thread of nowhere": malformed("THREAD_UPDATE", {"guild_id": "1", "id": {}}),
    "no data": malformed("GUILD_UPDATE", None),
    "an unknown event": malformed("SOMETHING_NEW", {"a": [1]}),
    "a frame that is no payload": lambda at: at.discord.send_garbage(
        b"\x00garbage\x00\x00\xff\xff"
    ),
    "away": away,
}


async def answered_again(at: Stage, timeout: float = 30.0) -> None:
    """Until a command is answered within Discord's three seconds, as a member tries it again."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                text_of(await at.command("usage"))
            except TimeoutError:
                continue
            return


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_the_bot_comes_back_and_its_jobs_end_as_if_nothing_had_been(
    at: Stage, trouble: Trouble
) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        await trouble(at)
        await answered_again(at)
        await at.imagine("a hare", by=at.ben)
        await at.oxen.created(2)
        await at.finish()
        await at.result("a hare", timeout=20)
        result = await at.result("a fox", timeout=20)
        (job,) = await at.settled(timeout=20)

    assert job.status is JobStatus.SUCCEEDED
    assert result.pings == [at.ada.id]
    assert asked.message is not None
    assert len([m for m in at.discord.channel_messages(at.channel) if m.pictures()]) == 2
    assert len(at.created()) == 2


@pytest.mark.parametrize(
    "trouble",
    [TROUBLES["dropped, and forgotten"], TROUBLES["an empty interaction"], away],
    ids=["dropped", "malformed", "away"],
)
async def test_a_job_that_ends_meanwhile_is_delivered_once(at: Stage, trouble: Trouble) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        await asyncio.gather(trouble(at), at.finish())
        await at.settled(timeout=30)

    assert len([m for m in at.discord.channel_messages(at.channel) if m.pictures()]) == 1


async def test_again_and_again(at: Stage) -> None:
    """Each of three clients in a row meets an event that it cannot read."""
    async with at.easel():
        for _ in range(3):
            before = {session.id for session in at.discord.gateway.live}
            await at.discord.dispatch_malformed("INTERACTION_CREATE", {})
            async with asyncio.timeout(20):
                while {session.id for session in at.discord.gateway.live} <= before:
                    await asyncio.sleep(0.05)
        await answered_again(at)


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_bot_that_is_stopped_while_it_connects_anew_ends(
    at: Stage, resumable: bool
) -> None:
    """discord.py itself would go on (bot.client, `serve`)."""
    async with at.easel() as app:
        closed = at.discord.faults.add("GET", "/gateway/?", Answer(503, "<html>"), times=None)
        await at.discord.drop_gateway(resumable=resumable)
        await closed.reached()
        app.stop()  # and its end is waited for by the block's
    assert at.discord.gateway.live == []


async def test_discord_that_cannot_be_reached_at_the_start_is_waited_for(at: Stage) -> None:
    gone = at.discord.unreachable()
    await gone.__aenter__()

    async def comes_back() -> None:
        await asyncio.sleep(1.5)
        await gone.__aexit__(None, None, None)

    coming = asyncio.create_task(comes_back())
    async with at.easel():
        await coming
        await answered_again(at)
        await at.imagine("a fox")
        (job,) = await at.settled(timeout=20)

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
async def test_a_login_that_fails_is_tried_again(at: Stage, path: str, fault: Fault) -> None:
    failed = at.discord.faults.add("*", path, fault)
    async with at.easel():
        await answered_again(at)

    assert failed.hits == 1
