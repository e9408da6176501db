"""`/credits allowance`, `budget` and `tier`, as a manager uses them."""

import pytest

from bot.periods import PeriodKind
from bot.rights import READY_MADE, Rights, Subject
from bot.sandbox.discord import Spelling
from bot.store import servers
from bot.store.servers import Granted
from bot.studio.credits import origin_of
from tests.cogs.test_credits import audit, charged, manage
from tests.support.easel import Stage, text_of


async def changed(at: Stage) -> list[tuple[str, str, str]]:
    """Return the changes of the server, oldest first."""
    return [(each.subject, each.before, each.after) for each in reversed(await audit(at))]


async def completed(at: Stage, command: str, option: str, typed: str) -> list[str]:
    choices = await at.discord.complete(
        at.ben, at.channel, f"credits {command}", {option: typed}, focused=option
    )
    return [str(each["value"]) for each in choices]


def test_a_member_without_an_allowance_has_it_from_nobody() -> None:
    own = Granted(Subject.MEMBER, "1", Rights(jobs=3))

    assert origin_of([own], None) is None


async def test_allowances_of_the_default_a_role_and_a_member(at: Stage) -> None:
    role = at.discord.add_role(at.server, "Painters")
    async with at.easel():
        nothing = await manage(at, "member", member=at.ada)
        default = await manage(at, "allowance", amount="10", period="week")
        by_default = await manage(at, "member", member=at.ada)
        of_role = await manage(at, "allowance", amount="3", period="day", role=role)
        at.discord.give_role(at.server, at.ada, role)
        by_role = await manage(at, "member", member=at.ada)
        of_member = await manage(at, "allowance", amount="5", member=at.ada)
        own = await manage(at, "member", member=at.ada)
        await manage(at, "allowance", amount="unset", member=at.ada)
        unset = await manage(at, "member", member=at.ada)

    assert "Left: **unlimited**" in nothing
    assert "Allowance: **unlimited**, because nobody has set one" in nothing
    assert "The allowance by default is now **10 credits a week**." in default
    assert "Whoever has used as much already has nothing left" in default
    assert "Allowance: **10 credits a week**, by the default of this server" in by_default
    assert f"The allowance of the role <@&{role.id}> is now **3 credits a day**" in of_role
    assert f"Allowance: **3 credits a day**, by the best of the roles: <@&{role.id}>" in by_role
    assert f"<@{at.ada.id}> has **5 credits** left until <t:" in of_member
    assert "Allowance: **5 credits a month**, set for this member" in own
    assert unset == by_role
    assert await changed(at) == [
        ("default rights: allowance", "not set", "10 credits a week"),
        (f"role <@&{role.id}>: allowance", "not set", "3 credits a day"),
        (f"member <@{at.ada.id}>: allowance", "not set", "5 credits a month"),
        (f"member <@{at.ada.id}>: allowance", "5 credits a month", "not set"),
    ]


async def test_an_allowance_under_the_used_amount_leaves_nothing(at: Stage) -> None:
    async with at.easel():
        await charged(at, count=2)
        reply = await manage(at, "allowance", amount="10", member=at.ada)
        refused = text_of(await at.imagine("a hen"))
        await manage(at, "allowance", amount="22.5", member=at.ada)
        await charged(at, "a hen")

    assert f"<@{at.ada.id}> has used as much already: nothing is left until" in reply
    assert "you have -5 credits left" in refused


@pytest.mark.parametrize(
    ("amount", "limit", "accepted"),
    [("none", "none at all", False), ("0", "none at all", False), ("unlimited", "unlimited", True)],
)
async def test_words_instead_of_an_amount(
    at: Stage, amount: str, limit: str, accepted: bool
) -> None:
    async with at.easel():
        await manage(at, "allowance", amount="7.5")
        reply = await manage(at, "allowance", amount=amount)
        shown = await manage(at, "allowance")
        asked = await at.imagine("a fox", count=2)

    assert f"The allowance by default is now **{limit}**." in reply
    assert f"The allowance by default is **{limit}**." in shown
    assert asked.message is not None
    assert ("2 pictures cost 15 credits" in asked.message.text()) is not accepted
    assert len(await at.jobs()) == accepted


async def test_refused_allowances_change_nothing(at: Stage) -> None:
    role = at.discord.add_role(at.server, "Painters")
    async with at.easel():
        both = await manage(at, "allowance", amount="5", role=role, member=at.ada)
        period = await manage(at, "allowance", period="day")
        negative = await manage(at, "allowance", amount="-5")
        large = await manage(at, "allowance", amount="1000000000000")

    assert "Leave one of the two out" in both
    assert "no amount is set whose period could change" in period
    assert "-5 credits are less than none. Type 0 or more." in negative
    assert "Type at most 1,000,000 credits." in large
    assert await changed(at) == []


async def test_a_period_alone_changes_the_period(at: Stage) -> None:
    at.discord.spelling = Spelling.CASE
    async with at.easel():
        await manage(at, "allowance", amount="5", period="day")
        reply = await manage(at, "allowance", period="week")
        again = await manage(at, "allowance", period="week")

    assert "The allowance by default is now **5 credits a week**" in reply
    assert "The allowance by default is **5 credits a week**" in again
    assert len(await changed(at)) == 2


async def test_the_operators_lower_limit_is_said_without_its_amount(at: Stage) -> None:
    async with at.easel(monthly_credits=333, budget_monthly=4444):
        fits = await manage(at, "allowance", amount="333")
        more = await manage(at, "allowance", amount="200", period="week")
        budget = await manage(at, "budget", amount="4444")
        large = await manage(at, "budget", amount="4445")

    assert "operator" not in fits + budget
    assert "The operator's limit is lower, and holds besides." in more
    assert "The operator's limit is lower, and holds besides." in large
    assert "333" not in more
    assert "4444" not in large


@pytest.mark.long
async def test_the_budget_of_the_server(at: Stage) -> None:
    async with at.easel():
        await charged(at)
        before = await manage(at, "budget")
        reply = await manage(at, "budget", amount="15", period="day")
        await charged(at, "a hare")
        refused = text_of(await at.imagine("a hen"))
        shown = await manage(at, "budget")
        lower = await manage(at, "budget", amount="5")
        removed = await manage(at, "budget", amount="unlimited")
        await charged(at, "a hen")

    assert "The budget of this server is **unlimited**." in before
    assert "Used this month: **7.5 credits**" in before
    assert "The budget of this server is now **15 credits a day**." in reply
    assert "Used: **7.5 credits** · Left: **7.5 credits** · renewed <t:" in reply
    assert "This server's budget is not enough" in refused
    assert "Left: **0 credits**" in shown
    assert "As much is used already: nothing is left" in lower
    assert "The budget of this server is now **unlimited**." in removed
    assert await changed(at) == [
        ("server budget", "unlimited", "15 credits a day"),
        ("server budget", "15 credits a day", "5 credits a day"),
        ("server budget", "5 credits a day", "unlimited"),
    ]


@pytest.mark.long
async def test_tiers_are_shown_taken_and_dropped(at: Stage) -> None:
    role = at.discord.add_role(at.server, "Painters")
    at.discord.give_role(at.server, at.ada, role)
    async with at.easel():
        shown = await manage(at, "tier show")
        taken = await manage(at, "tier take", tier="Guest", role=role)
        again = await manage(at, "tier take", tier="guest", role=role)
        refused = text_of(await at.imagine("a fox", count=2))
        default = await manage(at, "tier take", tier="artist")
        with_takers = await manage(at, "tier show")
        of_ada = await manage(at, "member", member=at.ada)
        dropped = await manage(at, "tier drop", role=role)
        nothing = await manage(at, "tier drop", role=role)
        unknown = await manage(at, "tier take", tier="king")

    assert all(f"**{name}**" in shown for name in READY_MADE)
    assert "allowance 40 credits a week · 1 picture at once · no private pictures" in shown
    assert "all models" in shown
    assert f"<@&{role.id}> now has the tier **guest**." in taken
    assert "has the tier **guest** already" in again
    assert "limit of pictures at once is 1" in refused
    assert "The default of this server now has the tier **artist**." in default
    assert f"Taken by <@&{role.id}>" in with_takers
    assert "Taken by the default of this server" in with_takers
    assert f"Allowance: **40 credits a week**, by the best of the roles: <@&{role.id}>" in of_ada
    assert f"<@&{role.id}> no longer has the tier **guest**." in dropped
    assert "has no tier" in nothing
    assert "There is no tier king. Choose one of these: guest, member, artist." in unknown
    assert await changed(at) == [
        (f"role <@&{role.id}>: tier", "not set", "guest"),
        ("default rights: tier", "not set", "artist"),
        (f"role <@&{role.id}>: tier", "guest", "not set"),
    ]


@pytest.mark.long
async def test_a_changed_tier_is_shown_as_such(at: Stage) -> None:
    rights = Rights(pictures=3, models=frozenset({"oxen"}), cooldown=5)
    async with at.database() as database, database.transaction() as tx:
        await servers.store_rights(tx, at.server.id, Subject.TIER, "guest", rights)
    async with at.easel():
        await manage(at, "allowance", amount="5")
        shown = await manage(at, "tier show")
        taken = await manage(at, "tier take", tier="guest")

    assert "**guest** (changed by this server)" in shown
    assert "3 pictures at once · 5 seconds between requests" in shown
    assert "models: Qwen Image 2 Pro" in shown
    assert "Rights that were set for it besides take precedence." in taken


async def test_everything_completes_itself(at: Stage) -> None:
    async with at.easel():
        await manage(at, "budget")
        grants = await completed(at, "grant", "amount", "")
        typed = await completed(at, "grant", "amount", "5")
        limits = await completed(at, "allowance", "amount", "un")
        none = await completed(at, "budget", "amount", "none")
        tiers = await completed(at, "tier take", "tier", "art")
        days = await completed(at, "report", "from", "yesterday")
        (command,) = [each for each in at.discord.commands if each["name"] == "credits"]

    assert grants[:3] == ["10", "25", "50"]
    assert typed == ["5", "50", "500"]
    assert limits == ["unlimited", "unset"]
    assert none == ["none"]
    assert tiers == ["artist"]
    assert len(days) == 1
    options = {each["name"]: each.get("options", []) for each in command["options"]}
    (period,) = [each for each in options["allowance"] if each["name"] == "period"]
    assert [each["value"] for each in period["choices"]] == [each.value for each in PeriodKind]
