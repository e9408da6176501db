"""What the operator allows, and where the bot may not post."""

import asyncio

import pytest

from bot.sandbox.discord import ChannelKind
from bot.sandbox.discord.permissions import ATTACH_FILES, SEND_MESSAGES, VIEW_CHANNEL
from tests.support.easel import Stage, text_of


async def test_a_server_that_is_not_allowed_is_refused_and_so_are_direct_messages(
    at: Stage,
) -> None:
    async with at.easel(servers=frozenset({1})):
        refused = text_of(await at.imagine("a fox"))
        direct = at.discord.dm_channel(at.ada)
        asked = await at.discord.command(at.ada, direct, "imagine", {"prompt": "a fox"})
        refused_too = text_of(await asked.answered())

    assert refused == refused_too
    assert "is not enabled here" in refused
    assert await at.jobs() == []


async def test_an_allowed_server_is_served(at: Stage) -> None:
    async with at.easel(servers=frozenset({at.server.id})):
        await at.imagine("a fox")
        result = await at.result("a fox")

    assert result.channel is at.channel


async def test_a_blocked_member_is_refused_and_others_are_not(at: Stage) -> None:
    async with at.easel(blocked_users=frozenset({at.ben.id})):
        assert "You are blocked" in text_of(await at.imagine("a fox", by=at.ben))
        await at.imagine("a fox")
        await at.result("a fox")


async def test_the_budget_of_all_is_shared_and_says_when_it_starts_anew(at: Stage) -> None:
    async with at.easel(budget_monthly=20):
        await at.imagine("a fox", count=2)
        refused = text_of(await at.imagine("a fox", by=at.ben))

    assert "budget for the month is used up" in refused
    assert "<t:" in refused
    assert await at.jobs(at.ben) == []


@pytest.mark.parametrize("limit", ["budget_monthly", "monthly_credits"])
async def test_a_request_for_exactly_the_rest_is_accepted(at: Stage, limit: str) -> None:
    async with at.easel(**{limit: 15}):
        await at.imagine("a fox", count=2)
        refused = text_of(await at.imagine("a hare"))
        (job,) = await at.settled()

    assert job.price == 15_000
    assert "used up" in refused or "you have 0 left" in refused


@pytest.mark.parametrize("limit", ["budget_monthly", "monthly_credits"])
async def test_a_thousandth_less_than_the_price_is_refused(at: Stage, limit: str) -> None:
    async with at.easel(**{limit: "14.999"}):
        refused = text_of(await at.imagine("a fox", count=2))

    assert "used up" in refused or "you have 14.999 left" in refused
    assert await at.jobs() == []


async def test_the_safety_checker_stays_on_unless_the_operator_allows(at: Stage) -> None:
    async with at.easel():
        refused = await at.imagine("a fox", model="skills", safety_checker=False)
        assert "cannot be switched off here" in text_of(refused)
        await at.imagine("a fox", model="skills", safety_checker=True)
        await at.result("a fox")


@pytest.mark.long
@pytest.mark.parametrize("kind", [ChannelKind.VOICE, ChannelKind.STAGE, ChannelKind.ANNOUNCEMENT])
async def test_channels_of_every_kind_are_known_as_age_restricted(
    at: Stage, kind: ChannelKind
) -> None:
    options = {"prompt": "a fox", "model": "skills", "safety_checker": False}
    adult = at.discord.add_channel(at.server, "adults", nsfw=True, kind=kind)
    usual = at.discord.add_channel(at.server, "usual", kind=kind)
    at.discord.set_permissions(at.server, at.ben, 1 << 5)  # Manage Server
    async with at.easel(allow_unsafe=True):
        refused = await at.discord.command(at.ben, usual, "imagine", options)
        assert "age-restricted" in text_of(await refused.answered())
        await at.discord.command(at.ben, adult, "imagine", options)
        result = await at.result("a fox")

    assert result.channel is adult


async def test_unsafe_is_for_those_who_manage_the_server_in_age_restricted_channels(
    at: Stage,
) -> None:
    options = {"prompt": "a fox", "model": "skills", "safety_checker": False}
    adult = at.discord.add_channel(at.server, "adults", nsfw=True)
    at.discord.set_permissions(at.server, at.ben, 1 << 5)  # Manage Server
    async with at.easel(allow_unsafe=True):
        for user, channel in ((at.ben, at.channel), (at.ada, adult)):
            asked = await at.discord.command(user, channel, "imagine", options)
            assert "only by members who may manage the server" in text_of(await asked.answered())

        await at.discord.command(at.ben, adult, "imagine", options)
        await at.result("a fox")

    (body,) = [request.body for request in at.skills.requests if request.method == "POST"]
    assert body == {"prompt": "a fox", "enable_safety_checker": False}


async def test_a_missing_permission_is_named_and_the_answer_becomes_the_result(at: Stage) -> None:
    at.discord.set_bot_permissions(at.channel, VIEW_CHANNEL | ATTACH_FILES)
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        assert "Missing permissions: Send Messages." in asked.message.text()
        await at.settled()

    assert len(asked.message.pictures()) == 1
    posts = [r for r in at.discord.requests if r.method == "POST" and "/channels/" in r.path]
    assert posts == []  # not even tried


@pytest.mark.parametrize(
    ("allowed", "lacking"),
    [
        (SEND_MESSAGES | ATTACH_FILES, "View Channels"),
        (VIEW_CHANNEL | ATTACH_FILES, "Send Messages"),
        (VIEW_CHANNEL | SEND_MESSAGES, "Attach Files"),
        (0, "View Channels, Send Messages, Attach Files"),
    ],
)
async def test_each_permission_that_a_post_needs_is_named(
    at: Stage, allowed: int, lacking: str
) -> None:
    at.discord.set_bot_permissions(at.channel, allowed)
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        assert f"Missing permissions: {lacking}." in asked.message.text()
        (job,) = await at.settled()

    assert job.result_message_id == asked.message.id


HOSTILE = [
    "@everyone @here <@1> <@&2>",
    "``` code ``` `x`",
    "[masked](https://evil.example) https://evil.example",
    "# heading\n> quote\n-# small\n- list\n1. one",
    "**bold** __under__ ~~gone~~ ||secret|| *it*",
    "\u202eright to left\u202c \u2066x\u2069",
    "nul \x00 and bell \x07",
    "🦊" * 2000,
    "\\" * 2000,
    "<t:0:R> <:x:123> </imagine:1> <id:home>",
]


@pytest.mark.long
async def test_hostile_prompts_ping_nobody_and_keep_the_form(at: Stage) -> None:
    async with at.easel():
        for number, prompt in enumerate(HOSTILE):
            await at.imagine(prompt, by=at.ben if number % 2 else at.ada)
        await at.settled(5, timeout=30)
        async with asyncio.timeout(30):
            while not all(job.delivered_at for job in await at.jobs(at.ben)):
                await asyncio.sleep(0.05)
        results = [m for m in at.discord.channel_messages(at.channel) if m.pictures()]
        failed = [m for m in at.discord.channel_messages(at.channel) if "charged" in m.text()]

    assert failed == []
    assert len(results) == len(HOSTILE)
    for message in results:
        assert message.pings in ([at.ada.id], [at.ben.id])
        assert not message.pings_everyone
        lines = message.text().split("\n")
        assert len(lines) == 3
        assert lines[0] in (f"<@{at.ada.id}>", f"<@{at.ben.id}>")
        assert lines[1].startswith("> ")
        assert lines[2].startswith("-# AI-generated · Qwen Image 2 Pro at Oxen.ai")
