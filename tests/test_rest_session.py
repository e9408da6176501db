"""A process without a gateway: logged in for requests alone, as a worker is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot import rest_session
from bot.app import App
from bot.backoff import Backoff
from bot.discord_clients import client_options
from bot.discord_session import DiscordSession
from bot.errors import StartupError
from bot.observability.endpoint import HealthReport
from bot.rest_session import RestSession
from bot.sandbox.discord import ChannelKind
from bot.sandbox.http.faults import Answer, Fault, Hold, Reset, ResetAfter
from bot.settings import Settings
from cogs.delivery.discord_delivery import DiscordDelivery
from cogs.delivery.messages import Messages
from tests.cogs.test_delivery import ATTACH_BUT_NOT_SEND, SEND
from tests.cogs.test_upload_limit import MIB, SHRUNK, draw_large
from tests.support.delivery import REPLIES, direct, results_in, until
from tests.support.easel import TOKEN, Stage, worker_of
from tests.support.gateways import delivery_of, settings_of

LOGIN = "/api/v10/users/@me"


@asynccontextmanager
async def running(*tasks: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def divided(at: Stage) -> AsyncIterator[tuple[App, RestSession]]:
    """Run a gateway that delivers nothing, and a worker that delivers without a gateway."""
    async with at.app() as app:
        services = app.services
        unused = DiscordDelivery(
            Messages(services.catalog, services.reduced, services.health),
            services.metrics,
            services.now,
        )
        gateway = DiscordSession(settings_of(at), services, app.studio, unused)
        rest = RestSession(settings_of(at), services, delivery_of(app))
        async with running(
            *(asyncio.create_task(each.run()) for each in (gateway, rest, worker_of(app)))
        ):
            await at.discord.connected()
            await at.discord.commands_registered()
            await connected(rest)
            yield app, rest


async def connected(rest: RestSession) -> None:
    async with asyncio.timeout(20):
        while not rest.connected:
            await asyncio.sleep(0.01)


async def test_a_result_is_posted_without_a_gateway(at: Stage) -> None:
    at.discord.set_upload_limit(at.server, 50 * MIB)
    draw_large(at)
    async with divided(at) as (_, rest):
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        (job,) = await at.settled()

        assert rest.client is not None
        assert list(rest.client.guilds) == []
        assert len(at.discord.gateway.live) == 1  # the gateway's own session

    assert result.channel is at.channel
    assert job.result_message_id == result.id
    assert SHRUNK not in result.text()  # by the limit in the route
    assert len(at.discord.channel_messages(at.channel)) == 1  # the status message is gone


async def test_a_private_result_replaces_its_reply(at: Stage) -> None:
    async with divided(at):
        await at.imagine("a fox", private=True)
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert result.ephemeral_to is at.ada
    assert job.result_message_id == job.route.status_message_id == result.id


@pytest.mark.long
async def test_the_fallback_reaches_direct_messages(at: Stage) -> None:
    async with divided(at):
        at.oxen.manual = True
        await at.imagine("a fox")
        await at.oxen.created()
        at.discord.delete_channel(at.channel)
        at.discord.faults.add("PATCH", REPLIES, Answer(404, NO_CHANNEL), times=None)
        at.discord.faults.add("POST", REPLIES, Answer(404, NO_CHANNEL), times=None)
        await at.finish()
        await at.settled()

    assert len(direct(at)) == 1


NO_CHANNEL = {"message": "Unknown Channel", "code": 10003}


async def test_a_thread_and_a_channel_without_permission_are_served(at: Stage) -> None:
    thread = at.discord.add_channel(
        at.server, "talk", kind=ChannelKind.PUBLIC_THREAD, parent=at.channel
    )
    closed = at.discord.add_channel(at.server, "closed", bot_permissions=ATTACH_BUT_NOT_SEND)
    async with divided(at):
        await at.command("imagine", where=thread, prompt="a fox")
        await at.command("imagine", where=closed, prompt="an owl")
        await at.settled(2)

    assert len(results_in(at, thread)) == 1
    assert len(results_in(at, closed)) == 1  # the reply


async def test_a_message_of_an_earlier_attempt_is_found(at: Stage) -> None:
    """The search needs the bot's own id, which the login alone gives."""
    held = at.discord.faults.add("POST", SEND, Hold())
    async with divided(at):
        await at.imagine("a fox")
        await held.reached(30)
    held.remove()
    at.clock.move(hours=1)  # the nonce has expired
    async with divided(at):
        await at.settled()

    assert len(results_in(at, at.channel)) == 1


@pytest.mark.long
async def test_a_reply_with_an_unknown_outcome_is_looked_up(at: Stage) -> None:
    async with divided(at):
        at.discord.faults.add("POST", r"/api/v10/interactions/.*", ResetAfter())
        await at.imagine("a fox")
        await until(at, lambda job: job.route.status_message_id is not None)
        await at.settled()

    assert len(results_in(at, at.channel)) == 1


async def test_the_health_of_a_process_without_a_gateway(at: Stage) -> None:
    async with divided(at) as (app, rest):
        report = HealthReport(app.services, lambda: rest)
        part = (await report.report())[1]["gateway"]
        await report.close()

    assert isinstance(part, dict)
    assert (part["alive"], part["shards"], part["commands_registered"]) == (True, {}, None)
    assert 0 < part["latency_seconds"] < 10


@asynccontextmanager
async def alone(at: Stage) -> AsyncIterator[tuple[RestSession, asyncio.Task[None]]]:
    async with at.app() as app:
        rest = RestSession(settings_of(at), app.services, delivery_of(app))
        task = asyncio.create_task(rest.run())
        async with running(task):
            yield rest, task


@pytest.mark.parametrize(
    "fault", [Answer(503, "<html>"), Reset(), Answer(200, "<html>"), Answer(403, "<html>")], ids=str
)
async def test_a_login_that_failed_is_repeated(
    at: Stage, fault: Fault, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = Backoff(rest_session.LOGINS.first * 0, rest_session.LOGINS.longest * 0)
    monkeypatch.setattr(rest_session, "LOGINS", none)
    at.discord.faults.add("GET", LOGIN, fault, times=2)  # aiohttp repeats one after a reset
    async with alone(at) as (rest, _):
        await connected(rest)

    line = next(each.getMessage() for each in caplog.records if "login at" in each.getMessage())
    assert line.startswith("login at Discord failed, retrying in 0 s: ")
    assert at.discord.url not in line


async def test_a_login_without_an_answer_is_given_up(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_session, "LOGIN_SECONDS", 0.2)
    held = at.discord.faults.add("GET", LOGIN, Hold())
    async with alone(at) as (rest, _):
        await held.reached()
        async with asyncio.timeout(20):
            while "login at Discord failed, retrying in 1 s: TimeoutError" not in caplog.text:
                await asyncio.sleep(0.01)
        held.remove()
        await connected(rest)


async def test_a_refused_token_ends_the_process(at: Stage) -> None:
    at.discord.reset_token()
    async with alone(at) as (_, task):
        with pytest.raises(StartupError, match="DISCORD_TOKEN: Discord refuses it"):
            await asyncio.wait_for(task, 20)


async def test_a_token_that_is_reset_later_ends_the_process(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_session, "CHECK_SECONDS", 0.05)
    async with alone(at) as (rest, task):
        await connected(rest)
        at.discord.reset_token()
        with pytest.raises(StartupError, match="DISCORD_TOKEN: Discord refuses it"):
            await asyncio.wait_for(task, 20)


@pytest.mark.parametrize("fault", [Answer(401, "<html>"), Answer(503, "<html>"), Reset()], ids=str)
async def test_an_outage_is_shown_and_ends_nothing(
    at: Stage, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_session, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(rest_session, "RECHECK_SECONDS", 0.05)
    async with alone(at) as (rest, task):
        await connected(rest)
        client = rest.client
        failing = at.discord.faults.add("GET", r"/api/v10/users/\d+", fault, times=None)
        async with asyncio.timeout(20):
            while rest.connected:
                await asyncio.sleep(0.01)
        failing.remove()
        await connected(rest)

        assert rest.client is client
        assert not task.done()


async def test_the_end_closes_the_client(at: Stage) -> None:
    async with alone(at) as (rest, _):
        await connected(rest)
        client = rest.client

    assert client is not None
    assert client.is_closed()
    assert not rest.connected


async def test_every_client_has_the_proxy_and_a_trace_of_its_own(at: Stage) -> None:
    values = {"discord_token": TOKEN, "https_proxy": "http://user:secret@proxy.test:3128"}
    async with at.app() as app:
        one, other = (client_options(Settings.load(None, values), app.services) for _ in range(2))

    assert one["proxy"] == "http://proxy.test:3128"
    assert one["proxy_auth"] is not None
    assert one["proxy_auth"].password == "secret"
    assert one["http_trace"] is not other["http_trace"]
