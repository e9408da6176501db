"""Warnings and notices of a hold that has used most of a limit, each to those it concerns."""

import logging
from collections.abc import Sequence

import discord
import pytest
from sqlalchemy import text

from bot.periods import month_of
from bot.quotas import Sum
from bot.rights import ServerSettings
from bot.sandbox.discord import Channel, Message
from bot.sandbox.http.faults import Answer, Reset
from bot.store import servers
from bot.store.balances import Level
from bot.store.holds import Held, Warned
from cogs import _notices, _warnings
from cogs._notices import post_notices
from cogs._warnings import warn_author, warn_member
from tests.support.discord_objects import job_of
from tests.support.rows import NOW
from tests.support.serving import Serving

POSTS = r"/api/v10/channels/\d+/messages"
CALLBACK = r"/api/v10/interactions/.*/callback"


def held(by: Serving, *levels: Level, limit: int = 3000, left: int = 500) -> Held:
    job = job_of(user_id=by.ada.id)
    warned = [Warned(each, Sum(limit, left, NOW), month_of(NOW)) for each in levels]
    return Held(job, warned)


def lines(caplog: pytest.LogCaptureFixture, module: object) -> list[str]:
    name = module.__name__  # type: ignore[attr-defined]
    return [each.getMessage() for each in caplog.records if each.name == name]


def texts(by: Serving, channel: Channel) -> list[str]:
    return [each.text() for each in by.fake.channel_messages(channel)]


async def warned(by: Serving, given: Held) -> Sequence[Message]:
    made = by.interaction()
    await warn_member(by.received(made), given)
    return [each for each in (made.message, *made.followups) if each is not None]


async def test_a_warning_names_the_part_that_is_used_and_the_rest(by: Serving) -> None:
    (shown,) = await warned(by, held(by, Level.MEMBER, Level.MONTH))
    first, second = shown.text().splitlines()

    end = int(month_of(NOW).end.timestamp())
    assert "83 %" in first  # rounded down
    assert "0.5 credits" in first
    assert f"<t:{end}" in first
    assert "in all servers" in second
    assert shown.ephemeral_to is by.ada


async def test_limits_of_others_are_no_warning_to_the_member(by: Serving) -> None:
    assert await warned(by, held(by)) == []
    assert await warned(by, held(by, Level.SERVER, Level.PROVIDER, Level.BOT)) == []


@pytest.mark.parametrize("fault", [Answer(403, {"code": 50013}), Answer(429, "<html>"), Reset()])
async def test_a_warning_that_cannot_be_sent_is_a_line_of_the_log(
    by: Serving, fault: Answer | Reset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _warnings.__name__)
    by.fake.faults.add("POST", CALLBACK, fault, times=None)
    assert await warned(by, held(by, Level.MEMBER)) == []

    (line,) = lines(caplog, _warnings)
    assert line.startswith("warning about few credits not sent: ")


async def test_the_author_of_a_message_is_warned_in_direct_messages_alone(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, _warnings.__name__)
    direct = by.fake.dm_channel(by.ada)
    for channel in (by.channel, direct):
        said = by.heard(await by.fake.say(by.ada, channel, "add snow"))
        await warn_author(by.client, said, held(by, Level.MEMBER))
        await warn_author(by.client, said, held(by, Level.BOT))
    assert texts(by, by.channel) == ["add snow"]
    assert len(texts(by, direct)) == 2
    assert "83 %" in texts(by, direct)[1]

    by.fake.faults.add("POST", POSTS, Answer(403, {"code": 50007, "message": "no"}))
    said = by.heard(await by.fake.say(by.ada, direct, "add rain"))
    await warn_author(by.client, said, held(by, Level.MONTH))
    (line,) = lines(caplog, _warnings)
    assert line.startswith("warning about few credits not sent: ")


async def choose_channel(by: Serving, channel_id: int | None) -> None:
    server_id = job_of().route.account_server_id
    async with by.services.database.transaction() as tx:
        await servers.store_settings(tx, server_id, ServerSettings(notices=channel_id))


async def test_the_channel_for_notices_hears_of_the_servers_budget(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    notices = by.fake.add_channel(by.server, "managers")
    await choose_channel(by, notices.id)
    await post_notices(by.client, held(by, Level.SERVER, Level.MEMBER))

    (shown,) = texts(by, notices)
    assert "2.5 credits of 3 credits" in shown
    assert str(int(month_of(NOW).end.timestamp())) in shown
    assert lines(caplog, _notices) == []


@pytest.mark.parametrize(("chosen", "refuses"), [(False, False), (True, True)])
async def test_a_notice_that_nobody_hears_is_a_line_for_the_operator(
    by: Serving, chosen: bool, refuses: bool, caplog: pytest.LogCaptureFixture
) -> None:
    notices = by.fake.add_channel(by.server, "managers")
    await choose_channel(by, notices.id if chosen else None)
    by.fake.faults.add("POST", POSTS, Answer(403, {"code": 50013, "message": "no"}))
    await post_notices(by.client, held(by, Level.SERVER))

    server_id = job_of().route.account_server_id
    (line,) = lines(caplog, _notices)
    if chosen:
        assert line.startswith(f"notice to server {server_id} not sent: 403")
    else:
        assert line == f"budget of server {server_id} nearly used, and no channel for notices"


async def test_a_notice_whose_channel_cannot_be_read_is_a_line_for_the_operator(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with by.services.database.transaction() as tx:
        await tx.execute(text("DROP TABLE servers"))  # as a damaged file has none
    await post_notices(by.client, held(by, Level.SERVER))

    server_id = job_of().route.account_server_id
    assert lines(caplog, _notices) == [
        f"notice to server {server_id} not sent: the database cannot be read"
    ]


async def test_a_client_without_a_studio_notifies_no_server(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async with discord.Client(intents=discord.Intents.none()) as plain:
        await post_notices(plain, held(by, Level.SERVER))

    assert lines(caplog, _notices) == []


async def test_the_operators_budgets_are_lines_of_the_log(
    by: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    await post_notices(by.client, held(by, Level.PROVIDER, Level.BOT, Level.MONTH))

    assert lines(caplog, _notices) == [
        "budget of oxen nearly used: 2.5 of 3 credits",
        "budget of the bot nearly used: 2.5 of 3 credits",
    ]
