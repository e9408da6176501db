"""Notices that most of a budget is used, after the reply to the request that uses it."""

import logging

import discord
import pytest

from bot.jobs import Job, JobStatus
from bot.periods import PeriodKind, month_of
from bot.quotas import Sum
from bot.rights import Allowance, ServerSettings
from bot.sandbox.discord.permissions import EVERYONE, SEND_MESSAGES
from bot.sandbox.http.faults import HoldBefore
from bot.store import servers
from bot.store.balances import Level
from bot.store.holds import Held, Warned
from cogs._notices import post_notices
from tests.support.acting import reply
from tests.support.easel import Stage
from tests.support.rows import NOW, new_job


async def let(at: Stage, **settings: object) -> None:
    """Store the settings of the server: a budget of 10 credits a week, and these."""
    budget = Allowance(amount=10_000, period=PeriodKind.WEEK)
    async with at.database() as database, database.transaction() as tx:
        found = ServerSettings.model_validate({"budget": budget, **settings})
        await servers.store_settings(tx, at.server.id, found)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [each for each in caplog.records if each.name == "cogs._notices"]
    assert all(each.levelno == logging.WARNING for each in found)
    return [each.getMessage() for each in found]


async def test_the_channel_hears_once_in_a_period(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    notices = at.discord.add_channel(at.server, "managers")
    async with at.easel():
        await let(at, notices=notices.id)
        await at.imagine("a fox", model="oxen")
        assert at.discord.channel_messages(notices) == []
        await let(at, notices=notices.id, budget=Allowance(amount=16_000))
        await at.imagine("a hare", model="oxen")
        said = await at.said("80 %")
        await at.settled(2)
        await let(at, notices=notices.id, budget=Allowance(amount=25_000))
        await at.imagine("an owl", model="oxen")
        await at.settled(3)

    assert said.channel is notices
    assert "15 credits of 16 credits" in said.text()
    assert len(at.discord.channel_messages(notices)) == 1
    assert logged(caplog) == []


async def test_a_notice_is_written_as_in_the_language_of_the_server(at: Stage) -> None:
    at.server.locale = "de"
    notices = at.discord.add_channel(at.server, "managers")
    async with at.easel():
        await let(at, notices=notices.id, budget=Allowance(amount=8_500))
        await at.imagine("a fox", model="oxen")
        said = await at.said("80 %")

    assert "7,5 credits of 8,5 credits" in said.text()


@pytest.mark.long
async def test_a_reply_to_a_result_is_a_request_too(at: Stage) -> None:
    notices = at.discord.add_channel(at.server, "managers")
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        await let(at, notices=notices.id, budget=Allowance(amount=16_000))
        await reply(at, result, "add snow")
        said = await at.said("80 %")

    assert said.channel is notices


async def test_without_a_channel_the_operator_hears(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await let(at, budget=Allowance(amount=8_000))
        await at.imagine("a fox", model="oxen")
        await at.settled()

    assert logged(caplog) == [
        f"budget of server {at.server.id} nearly used, and no channel for notices"
    ]


@pytest.mark.long
async def test_a_channel_that_refuses_changes_nothing_for_the_member(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    notices = at.discord.add_channel(
        at.server, "managers", bot_permissions=EVERYONE & ~SEND_MESSAGES
    )
    async with at.easel():
        await let(at, notices=notices.id, budget=Allowance(amount=8_000))
        await at.imagine("a fox", model="oxen")
        assert await at.result("a fox")
        await at.settled()

    (line,) = logged(caplog)
    assert line.startswith(f"notice to server {at.server.id} not sent: ")


@pytest.mark.long
async def test_a_slow_notice_delays_no_reply(
    at: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cogs.delivery.timeouts.SHOW_TIMEOUT", 0.3)
    notices = at.discord.add_channel(at.server, "managers")
    async with at.easel():
        await let(at, notices=notices.id, budget=Allowance(amount=8_000))
        at.discord.faults.add("POST", f"/api/v10/channels/{notices.id}/messages", HoldBefore())
        await at.imagine("a fox", model="oxen")
        assert await at.result("a fox")
        await at.settled()

    (line,) = logged(caplog)
    assert line.startswith(f"notice to server {at.server.id} not sent")


async def test_the_operator_hears_of_the_budget_of_the_bot(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.settings = {"budget_monthly": 8}
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.settled()

    assert logged(caplog) == ["budget of the bot nearly used: 7.5 of 8 credits"]


async def test_the_operator_hears_of_the_budget_of_a_provider(
    caplog: pytest.LogCaptureFixture,
) -> None:
    new = new_job(1)
    job = Job(
        *(new.id, JobStatus.QUEUED, new.user_id, new.route, new.request),
        *(new.provider, new.price, new.created_at),
    )
    left = Sum(limit=100_000, left=20_000, resets_at=NOW)
    held = Held(job, [Warned(Level.PROVIDER, left, month_of(NOW))])

    await post_notices(discord.Client(intents=discord.Intents.none()), held)

    assert logged(caplog) == [f"budget of {job.provider} nearly used: 80 of 100 credits"]
