"""What the operator and a server allow, and where the bot may not post."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.periods import PeriodKind, ZoneChange
from bot.sandbox.discord import ChannelKind, Interaction
from bot.sandbox.discord.permissions import ATTACH_FILES, SEND_MESSAGES, VIEW_CHANNEL
from bot.sandbox.http.faults import Answer
from tests.support.easel import Stage, text_of
from tests.support.rights import allow, choose, credits, grant, grants_left

OWN_503 = Answer(503, {"error": {"message": "Service temporarily unavailable"}})


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

    assert "budget for the month is not enough" in refused
    assert "<t:" in refused
    assert await at.jobs(at.ben) == []


@pytest.mark.parametrize("limit", ["budget_monthly", "monthly_credits"])
async def test_a_request_for_exactly_the_rest_is_accepted(at: Stage, limit: str) -> None:
    async with at.easel(**{limit: 15}):
        await at.imagine("a fox", count=2)
        refused = text_of(await at.imagine("a hare"))
        (job,) = await at.settled()

    assert job.price == 15_000
    assert "not enough" in refused or "you have 0 credits left" in refused


@pytest.mark.long
@pytest.mark.parametrize("limit", ["budget_monthly", "monthly_credits"])
async def test_a_thousandth_less_than_the_price_is_refused(at: Stage, limit: str) -> None:
    async with at.easel(**{limit: "14.999"}):
        refused = text_of(await at.imagine("a fox", count=2))

    assert "not enough" in refused or "you have 14.999 credits left" in refused
    assert await at.jobs() == []


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


def refused(asked: Interaction) -> str:
    """Return the text of a refusal; empty for a job, whose message has a button to stop it."""
    assert asked.message is not None
    return "" if asked.message.buttons() else text_of(asked)


def reset_of(text: str) -> datetime:
    return datetime.fromtimestamp(int(text.partition("<t:")[2].partition(":R>")[0]), UTC)


def move_to(at: Stage, *date: int) -> None:
    at.clock.moved += datetime(*date, tzinfo=UTC) - at.clock()  # type: ignore[arg-type, misc]


async def test_the_allowance_of_a_member_comes_before_roles_and_the_best_role_before_the_default(
    at: Stage,
) -> None:
    small = at.discord.add_role(at.server, "small", at.ada, at.ben)
    large = at.discord.add_role(at.server, "large", at.ada, at.ben)
    cat = at.discord.add_user("Cat")
    await allow(at, allowance=credits(5))
    await allow(at, small, allowance=credits(14, PeriodKind.MONTH))
    await allow(at, large, allowance=credits(8, PeriodKind.WEEK))  # more in a month than 14
    await allow(at, at.ada, allowance=credits(0))
    async with at.easel():
        own = refused(await at.imagine("a fox"))
        by_role = refused(await at.imagine("a fox", by=at.ben, count=2))
        default = refused(await at.imagine("a fox", by=cat))
        assert refused(await at.imagine("a fox", by=at.ben)) == ""

    assert "you have 0 credits left" in own
    assert "<t:" not in own  # nothing is renewed
    assert "Ask a manager of this server" in own
    assert (
        "2 pictures cost 15 credits, and you have 8 credits left. One picture fits: set count to 1."
        in (by_role)
    )
    assert reset_of(by_role).weekday() == 0
    assert "you have 5 credits left" in default


@pytest.mark.long
async def test_nothing_set_is_unlimited_and_none_at_all_is_none(at: Stage) -> None:
    role = at.discord.add_role(at.server, "unlimited", at.ben)
    async with at.easel():
        assert refused(await at.imagine("a fox", count=4)) == ""
        await allow(at, allowance=credits(0))
        assert "you have -30 credits left" in refused(await at.imagine("a fox"))
        await allow(at, role, allowance=credits(None))
        assert refused(await at.imagine("a fox", by=at.ben, count=4)) == ""


@pytest.mark.long
@pytest.mark.parametrize(
    ("period", "reset"),
    [
        (PeriodKind.DAY, datetime(2027, 3, 27, 23, tzinfo=UTC)),
        (PeriodKind.WEEK, datetime(2027, 3, 28, 22, tzinfo=UTC)),  # the clock changes that Sunday
        (PeriodKind.MONTH, datetime(2027, 3, 31, 22, tzinfo=UTC)),
        # The clock is set back on the last day: it has 25 hours.
        (PeriodKind.DAY, datetime(2027, 10, 31, 23, tzinfo=UTC)),
        (PeriodKind.MONTH, datetime(2027, 10, 31, 23, tzinfo=UTC)),
        # The clock is set forward on the last day: it has 23 hours.
        (PeriodKind.MONTH, datetime(2030, 3, 31, 22, tzinfo=UTC)),
    ],
)
async def test_an_allowance_is_renewed_at_the_boundary_in_the_zone_of_the_server(
    at: Stage, period: PeriodKind, reset: datetime
) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    await choose(at, zones=[ZoneChange(since, "Europe/Berlin")])
    await allow(at, allowance=credits(8, period))
    begin = reset - timedelta(hours=11 if period is PeriodKind.DAY else 40)
    move_to(at, begin.year, begin.month, begin.day, begin.hour)
    async with at.easel():
        assert refused(await at.imagine("a fox")) == ""
        assert reset_of(refused(await at.imagine("a hare"))) == reset
        at.clock.moved += reset - at.clock() - timedelta(seconds=30)
        assert "you have 0.5 credits left" in refused(await at.imagine("a hare"))
        at.clock.move(seconds=31)
        assert refused(await at.imagine("a hare")) == ""
        await at.settled(2)


@pytest.mark.long
async def test_a_new_zone_applies_from_its_next_boundary(at: Stage) -> None:
    before, change = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, 16, tzinfo=UTC)
    zones = [ZoneChange(before, "Europe/Berlin"), ZoneChange(change, "Asia/Tokyo")]
    await allow(at, allowance=credits(8, PeriodKind.DAY))
    await choose(at, zones=zones[:1])
    move_to(at, 2027, 6, 1, 14)  # 16:00 in Berlin, 23:00 in Tokyo
    async with at.easel():
        assert refused(await at.imagine("a fox")) == ""
        await at.settled()
        move_to(at, 2027, 6, 1, 16, 1)  # 01:01 of the next day in Tokyo
        await choose(at, zones=zones)
        text = refused(await at.imagine("a hare"))
        assert reset_of(text) == datetime(2027, 6, 2, 15, tzinfo=UTC)
        move_to(at, 2027, 6, 2, 15, 1)
        assert refused(await at.imagine("a hare")) == ""


@pytest.mark.long
async def test_a_hold_takes_the_allowance_first_and_a_release_returns_the_grant_first(
    at: Stage,
) -> None:
    at.oxen.manual = True
    await allow(at, allowance=credits(10, PeriodKind.WEEK))
    await grant(at, 20)
    async with at.easel():
        at.oxen.fail_next()
        asked = await at.imagine("a fox", count=2)  # 15: 10 of the allowance, 5 of the grant
        held = await grants_left(at)
        assert "you have 15 credits left" in refused(await at.imagine("a hare", count=4))
        await at.said("Drawing")
        await at.finish()  # one of two pictures: 7.5 is not used, 5 of it by the grant
        (job,) = await at.settled()
        after = await grants_left(at)
        move_to(at, 2027, 6, 1, 14)  # grants last
        text = refused(await at.imagine("a hare", count=4, model="skills"))

    assert asked.message is not None
    assert (job.granted, job.cost) == (5000, 7500)
    assert (held, after) == (15, 20)
    assert "4 pictures cost 80 credits, and you have 30 credits left. One picture fits" in text


@pytest.mark.long
async def test_monthly_credits_limit_what_the_server_grants_over_all_servers(at: Stage) -> None:
    other = at.discord.add_guild("Other")
    there = at.discord.add_channel(other, "art")
    await allow(at, allowance=credits(1000))
    await grant(at, 1000)
    async with at.easel(monthly_credits=25):
        await at.command("imagine", where=there, prompt="a fox", count=2)
        text = refused(await at.imagine("a hare", count=2))

    assert "you have 10 credits left. One picture fits" in text
    assert (reset_of(text).day, reset_of(text).hour) == (1, 0)


@pytest.mark.long
async def test_a_server_budget_is_for_all_its_members_and_for_no_other_server(at: Stage) -> None:
    there = at.discord.add_channel(at.discord.add_guild("Other"), "art")
    await choose(at, budget=credits(20, PeriodKind.DAY))
    await grant(at, 1000)
    async with at.easel():
        assert refused(await at.imagine("a fox", count=2)) == ""
        text = refused(await at.imagine("a hare", by=at.ben))
        assert refused(await at.command("imagine", where=there, prompt="a hare")) == ""

    assert (
        "This server's budget is not enough: it has 5 credits left, and this costs 7.5 credits."
        in text
    )
    assert timedelta(0) < reset_of(text) - at.clock() <= timedelta(days=1)


@pytest.mark.long
async def test_the_budget_of_a_provider_ends_its_models_alone(at: Stage) -> None:
    await grant(at, 1000)
    async with at.easel(oxen_budget_monthly=10):
        assert refused(await at.imagine("a fox", model="oxen")) == ""
        text = refused(await at.imagine("a hare", model="oxen"))
        assert refused(await at.imagine("a hare", model="skills")) == ""

    assert "budget at Oxen.ai for the month is not enough: it has 2.5 credits left" in text
    assert "Choose a model of another service" in text


@pytest.mark.long
async def test_a_refusal_offers_what_fits_every_limit(at: Stage) -> None:
    await allow(at, allowance=credits(50))
    async with at.easel(budget_monthly=25):
        text = refused(await at.imagine("a fox", count=4, model="skills"))
        assert refused(await at.imagine("a fox", model="skills")) == ""

    assert "4 pictures cost 80 credits, and you have 50 credits left. One picture fits" in text


@pytest.mark.long
async def test_an_allowance_under_the_amount_already_used_allows_nothing_more(at: Stage) -> None:
    async with at.easel():
        assert refused(await at.imagine("a fox", count=2)) == ""
        await allow(at, at.ada, allowance=credits(10))
        text = refused(await at.imagine("a hare"))

    assert "you have -5 credits left" in text
    assert "fit" not in text


@pytest.mark.long
async def test_jobs_at_once_and_a_cooldown_are_by_role(at: Stage) -> None:
    at.oxen.manual = True
    patient = at.discord.add_role(at.server, "patient", at.ben)
    await allow(at, jobs=1, cooldown=60)
    await allow(at, patient, jobs=2, cooldown=30)
    async with at.easel():
        for user in (at.ada, at.ben):
            assert refused(await at.imagine("a fox", by=user)) == ""
        assert "jobs in progress is 1" in refused(await at.imagine("a fox"))
        text = refused(await at.imagine("a fox", by=at.ben))
        at.clock.move(seconds=31)
        assert refused(await at.imagine("a fox", by=at.ben)) == ""
        at.clock.move(seconds=31)
        assert "jobs in progress is 2" in refused(await at.imagine("a fox", by=at.ben))
        await at.finish()
        await at.settled()
        assert refused(await at.imagine("a fox")) == ""

    assert "between two requests is 30 s" in text
    assert "<t:" in text


@pytest.mark.long
async def test_roles_that_change_while_a_job_runs_leave_its_hold(at: Stage) -> None:
    at.oxen.manual = True
    artist = at.discord.add_role(at.server, "artist", at.ada)
    await allow(at, allowance=credits(0))
    await allow(at, artist, allowance=credits(100))
    async with at.easel():
        await at.imagine("a fox", count=2)
        await at.said("Drawing")
        at.discord.take_role(at.server, at.ada, artist)
        text = refused(await at.imagine("a hare"))
        await at.finish()
        (job,) = await at.settled()

    assert "you have -15 credits left" in text
    assert (job.price, job.cost) == (15_000, 15_000)
    assert job.allowance == credits(100)


@pytest.mark.long
async def test_a_failover_asks_the_allowance_of_the_job(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/ai/models/.*", OWN_503, times=None)
    at.oxen.faults.add("POST", "/api/ai/queue", OWN_503, times=None)
    artist = at.discord.add_role(at.server, "artist", at.ada)
    await allow(at, allowance=credits(0))
    await allow(at, artist, allowance=credits(25))
    async with at.easel():
        await at.imagine("a fox")
        at.discord.take_role(at.server, at.ada, artist)
        (job,) = await at.settled()

    assert (job.provider, job.price, job.cost) == ("skills", 20_000, 20_000)


@pytest.mark.long
async def test_of_200_parallel_commands_of_40_members_just_those_are_accepted_that_fit(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wait in ("bot.studio.requests.WRITE_LOCK_TIMEOUT", "bot.store.sqlite.BUSY_SECONDS"):
        monkeypatch.setattr(wait, 60.0)
    at.oxen.manual = True
    at.discord.response_seconds = 60  # one process serves Discord, the bot and all members here
    members = [at.discord.add_user(f"Member {number}") for number in range(40)]
    await choose(at, budget=credits(100))  # 13 of 7.5 fit
    async with at.easel():
        asked = await asyncio.gather(
            *(at.command("imagine", by=each, prompt="a fox") for each in members * 5)
        )
        texts = [refused(each) for each in asked]
        stored = [job for each in members for job in await at.jobs(each)]

    over = [each for each in texts if "budget is not enough: it has 2.5 credits left" in each]
    accepted = [each for each in texts if not each]
    assert len(accepted) == len(stored) == 13
    assert len(over) == len(texts) - 13


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
        await at.settled(5)
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
