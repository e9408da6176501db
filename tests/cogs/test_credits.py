"""`/credits member`, `grant` and `refund`, as a manager uses them."""

import asyncio
from typing import Any

import pytest

from bot.jobs import Job, JobStatus
from bot.ledger import EntryKind
from bot.rights import Allowance
from bot.sandbox.discord import Interaction, MemberError
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.store import changes, ledger
from bot.store.changes import Change
from tests.support.allowances import allow, grant
from tests.support.easel import Stage, text_of

BUDGET_USED = "This bot's budget for the month is not enough"


async def manage(
    at: Stage,
    command: str,
    **options: Any,  # noqa: ANN401  # what a manager may type
) -> str:
    """Return the reply to a command of Ben, who manages the server."""
    return text_of(await used(at, command, **options))


async def used(
    at: Stage,
    command: str,
    **options: Any,  # noqa: ANN401  # what a manager may type
) -> Interaction:
    if not at.server.permissions_of(at.ben) & MANAGE_GUILD:
        at.discord.set_permissions(at.server, at.ben, MANAGE_GUILD)
    return await at.command(f"credits {command}", by=at.ben, **options)


async def audit(at: Stage) -> list[Change]:
    async with at.database() as database, database.reading() as view:
        return await changes.of_server(view, at.server.id, 100)


async def grants(at: Stage, job: Job) -> list[int]:
    async with at.database() as database, database.reading() as view:
        found = await ledger.entries_of(view, job.id)
    return [each.amount for each in found if each.kind is EntryKind.GRANT]


async def charged(
    at: Stage,
    prompt: str = "a fox",
    *,
    count: int = 1,
    **options: Any,  # noqa: ANN401  # what a manager may type
) -> Job:
    """Return a job of Ada that was charged."""
    before = len(await at.jobs())
    await at.imagine(prompt, count=count, **options)
    return (await at.settled(before + 1))[0]


async def drawing(
    at: Stage,
    **options: Any,  # noqa: ANN401  # what a manager may type
) -> None:
    """Let Ada request a fox, and wait until it is drawn."""
    await at.imagine("a fox", **options)
    async with asyncio.timeout(20):
        while (await at.jobs())[0].status is not JobStatus.RUNNING:
            await asyncio.sleep(0.02)


async def test_only_managers_are_offered_the_commands(at: Stage) -> None:
    at.settings = {"user_install": True}
    async with at.easel():
        with pytest.raises(MemberError, match="may not use"):
            await at.command("credits budget")
        with pytest.raises(MemberError, match="not available in this kind"):
            await at.command("credits budget", where=at.discord.dm_channel(at.ben), by=at.ben)
        at.discord.set_permissions(at.server, at.ben, MANAGE_GUILD)
        with pytest.raises(MemberError, match="not for this kind of install"):
            await at.command("credits budget", by=at.ben, user_install_only=True)


async def test_who_does_not_manage_the_server_is_refused_whatever_discord_allows(
    at: Stage,
) -> None:
    """An administrator may open a command to everybody in the settings of the server."""
    async with at.easel():
        at.discord.set_command_permissions(at.server, "credits", {at.ada: True})
        job = await charged(at)
        refused = [
            text_of(await at.command(f"credits {name}", **options))
            for name, options in (
                ("member", {"member": at.ada}),
                ("grant", {"member": at.ada, "amount": "5"}),
                ("refund", {"job": job.id}),
                ("allowance", {"amount": "5"}),
                ("budget", {"amount": "5"}),
                ("tier show", {}),
                ("tier take", {"tier": "artist"}),
                ("tier drop", {}),
                ("report", {}),
            )
        ]
        offered = await at.discord.complete(
            at.ada, at.channel, "credits refund", {"job": ""}, focused="job"
        )

    assert {*refused} == {
        "You may not manage this server. Ask a member with the permission Manage Server."
    }
    assert offered == []
    assert await audit(at) == []


async def test_a_grant_is_on_top_of_the_allowance_and_lasts_until_it_is_used(at: Stage) -> None:
    await allow(at, 10)
    async with at.easel():
        reply = await manage(at, "grant", member=at.ada, amount="7,5", reason="thanks")
        await charged(at, count=2)
        refused = text_of(await at.imagine("a hen"))
        shown = await manage(at, "member", member=at.ada)
        at.clock.move(days=8)
        later = await manage(at, "member", member=at.ada)

    assert f"<@{at.ada.id}> got **7.5 credits** on top" in reply
    assert "Of all grants, 7.5 credits are left" in reply
    assert "you have 2.5 credits left" in refused
    assert "Left: **2.5 credits**" in shown
    assert "Used: **15 credits**" in shown
    assert "Granted, and not used yet: **2.5 credits**" in shown
    assert "Left: **12.5 credits**" in later
    (change,) = await audit(at)
    assert (change.user_id, change.subject) == (at.ben.id, f"member <@{at.ada.id}>: grant")
    assert (change.before, change.after) == ("0 credits of grants", "7.5 credits of grants")


@pytest.mark.parametrize(
    ("amount", "word"),
    [
        ("0", "Nothing was granted"),
        ("-5", "Nothing was granted"),
        ("1000000000000", "Type at most 1,000,000 credits."),
        ("1000000.001", "Type at most 1,000,000 credits."),
        ("9" * 100, "Type at most 1,000,000 credits."),
        ("7.5001", "is no amount of credits"),
        ("many", "is no amount of credits"),
        ("1e3", "is no amount of credits"),
        ("1,000", "can be read in two ways"),
        ("1.000", "can be read in two ways"),
        ("1.000.000", "can be read in two ways"),
    ],
)
async def test_a_wrong_amount_grants_nothing(at: Stage, amount: str, word: str) -> None:
    async with at.easel():
        reply = await manage(at, "grant", member=at.ada, amount=amount)

    assert word in reply
    assert await audit(at) == []


async def test_a_bot_gets_no_grant(at: Stage) -> None:
    other = at.discord.add_user("Robot", bot=True)
    async with at.easel():
        reply = await manage(at, "grant", member=other, amount="5")

    assert "Nothing was granted, because bots make no pictures" in reply
    assert await audit(at) == []


@pytest.mark.long
async def test_somebody_who_has_left_gets_a_grant_and_is_shown(at: Stage) -> None:
    async with at.easel():
        await charged(at)
        at.discord.leave(at.server, at.ada)
        reply = await manage(at, "grant", member=at.ada, amount="5")
        shown = await manage(at, "member", member=at.ada)

    assert "got **5 credits**" in reply
    assert f"<@{at.ada.id}> is not in this server any more." in reply
    assert "is not in this server any more" in shown
    assert "Used: **7.5 credits**" in shown


async def test_amounts_are_written_in_the_managers_language(at: Stage) -> None:
    at.ben.locale = "de"
    async with at.easel():
        reply = await manage(at, "grant", member=at.ada, amount="1234.5")

    assert "**1.234,5 credits**" in reply


@pytest.mark.long
async def test_a_private_job_shows_only_its_cost_and_its_id(at: Stage) -> None:
    async with at.easel():
        private = await charged(at, "a secret fox", private=True)
        await charged(at, "a long wolf" * 20)
        public = await charged(at, "a public hen")
        shown = await manage(at, "member", member=at.ada)
        options = ("credits refund", {"job": ""})
        offered = await at.discord.complete(at.ben, at.channel, *options, focused="job")
        typed = await at.discord.complete(
            at.ben, at.channel, "credits refund", {"job": "secret"}, focused="job"
        )

    assert "secret" not in shown
    assert f"- 7.5 credits · `{private.id}`" in shown
    assert "a public hen · 7.5 credits" in shown
    names = {each["value"]: each["name"] for each in offered}
    assert [*names][::2] == [public.id, private.id]
    assert max(map(len, names.values())) == 100
    assert names[private.id] == f"{at.ada.id} · 7.5 credits · {private.id}"
    assert names[public.id].endswith(f"{public.id} · a public hen")
    assert typed == []


@pytest.mark.long
async def test_a_refund_is_a_grant_of_the_cost_once(at: Stage) -> None:
    await allow(at, 15)
    async with at.easel():
        job = await charged(at, count=2)
        reply = await manage(at, "refund", job=job.id.upper())
        again = await manage(at, "refund", job=job.id)
        offered = await at.discord.complete(
            at.ben, at.channel, "credits refund", {"job": ""}, focused="job"
        )
        await at.imagine("a hen", count=2)
        await at.result("a hen")

    assert f"<@{at.ada.id}> got **15 credits** back for job `{job.id}`" in reply
    assert f"Job {job.id} was refunded already" in again
    assert offered == []
    assert await grants(at, job) == [15_000]
    (change,) = await audit(at)
    assert change.subject == f"member <@{at.ada.id}>: refund of job {job.id}"


@pytest.mark.long
async def test_what_was_not_charged_is_not_refunded(at: Stage) -> None:
    async with at.easel():
        at.oxen.manual = True
        await at.imagine("a fox")
        (job,) = await at.jobs()
        early = await manage(at, "refund", job=job.id)
        await at.command("cancel", job=job.id)
        await at.settled()
        free = await manage(at, "refund", job=job.id)
        unknown = await manage(at, "refund", job="a" * 16)
        nonsense = await manage(at, "refund", job="<@1> **x**")

    assert f"Nothing of job {job.id} was charged yet" in early
    assert f"Job {job.id} has cost nothing" in free
    assert f"There is no job {'a' * 16} in this server" in unknown
    assert "There is no job" in nonsense
    assert await grants(at, job) == []


@pytest.mark.long
async def test_the_job_of_another_server_is_not_refunded(at: Stage) -> None:
    other = at.discord.add_guild("Elsewhere")
    channel = at.discord.add_channel(other, "art")
    at.discord.set_permissions(other, at.ben, MANAGE_GUILD)
    async with at.easel():
        job = await charged(at)
        refund = await at.command("credits refund", by=at.ben, where=channel, job=job.id)
        offered = await at.discord.complete(
            at.ben, channel, "credits refund", {"job": ""}, focused="job"
        )

    assert f"There is no job {job.id} in this server" in text_of(refund)
    assert offered == []
    assert await grants(at, job) == []


@pytest.mark.long
async def test_the_operators_budget_ends_draws_and_refunds(at: Stage) -> None:
    """A manager draws, refunds and repeats."""
    await allow(at, 7.5)
    async with at.easel(budget_monthly=30):
        drawn: list[Job] = []
        for _ in range(6):
            reply = await at.imagine("a fox")
            message = reply.message
            assert message is not None
            if BUDGET_USED in message.text():
                break
            drawn = await at.settled(len(drawn) + 1)
            await manage(at, "refund", job=drawn[0].id)

    assert len(drawn) == 4
    assert sum(job.cost or 0 for job in drawn) == 30_000


@pytest.mark.long
async def test_the_operators_limit_of_a_member_ends_grants(at: Stage) -> None:
    await allow(at, 0)
    async with at.easel(monthly_credits=10):
        await manage(at, "grant", member=at.ada, amount="1000")
        await charged(at)
        refused = text_of(await at.imagine("a hen"))
        shown = await manage(at, "member", member=at.ada)

    assert "you have 2.5 credits left" in refused
    assert "The operator's limit is lower" in shown


@pytest.mark.long
async def test_a_hold_stays_as_it_was_when_the_roles_change(at: Stage) -> None:
    role = at.discord.add_role(at.server, "Painters")
    at.discord.give_role(at.server, at.ada, role)
    async with at.easel():
        await manage(at, "allowance", amount="100", role=role)
        await manage(at, "allowance", amount="0")
        at.oxen.manual = True
        await drawing(at)
        at.discord.take_role(at.server, at.ada, role)
        refused = text_of(await at.imagine("a hen"))
        await at.finish()
        (job,) = await at.settled()
        shown = await manage(at, "member", member=at.ada)

    assert "you have 0 credits left" in refused or "have -7.5 credits left" in refused
    assert (job.cost, job.granted) == (7500, 0)
    assert job.allowance == Allowance(amount=100_000)
    assert "Used: **7.5 credits**" in shown


@pytest.mark.long
async def test_the_account_survives_the_removal_of_the_bot(at: Stage) -> None:
    await allow(at, 50)
    await grant(at, 5)
    async with at.easel():
        at.oxen.manual = True
        await drawing(at, count=2)
        before = await manage(at, "member", member=at.ada)
        at.discord.remove_bot(at.server)
        with pytest.raises(MemberError):
            await manage(at, "budget")
        at.discord.invite_bot(at.server)
        after = await manage(at, "member", member=at.ada)
        await at.finish()
        await at.settled()
        settled = await manage(at, "member", member=at.ada)

    assert "Left: **40 credits**" in before
    assert "Held for jobs in progress: **15 credits**" in before
    assert after == before
    assert "Left: **40 credits**" in settled
    assert "Used: **15 credits**" in settled
