"""The budget counts what the services charge, and every member's work has a bound."""

import asyncio
from typing import Any

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.ledger import Account, LedgerEntry
from bot.sandbox.http.faults import Answer, Reset, ResetAfter
from bot.store.audit import verify
from tests.support.easel import Stage, text_of

SKILLS: dict[str, Any] = {"model": "skills"}
GENERATION = "/api/v1/generation/.*"
OUTPUT = "/output/.*"


async def adds_up(at: Stage) -> bool:
    async with at.database() as database, database.reading() as view:
        return not (await verify(view)).findings


def account(entry: LedgerEntry) -> Account:
    return entry.account


async def test_a_member_has_five_jobs_at_once_over_all_servers(at: Stage) -> None:
    at.oxen.manual = True
    elsewhere = at.discord.add_channel(at.discord.add_guild("Elsewhere"), "art")
    async with at.easel(max_jobs=5):
        for number in range(5):
            await at.imagine(f"fox {number}")
        refused = text_of(await at.command("imagine", where=elsewhere, prompt="a sixth fox"))
        other = await at.imagine("a hare", by=at.ben)
        assert other.message is not None
        await at.command("cancel", job=(await at.jobs())[0].id)
        await at.finish()
        await at.settled(5)
        await at.imagine("a sixth fox")

    assert "You may have 5 jobs in progress at once. They hold 37.5 credits" in refused
    assert "/cancel" in refused
    assert len(await at.jobs()) == 6


async def test_parallel_requests_do_not_exceed_the_jobs_of_a_member(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel(max_jobs=3):
        asked = await asyncio.gather(*(at.imagine(f"fox {number}") for number in range(8)))
        refused = [each for each in asked if each.message and "at once" in each.message.text()]

    assert (len(await at.jobs()), len(refused)) == (3, 5)


@pytest.mark.long
async def test_a_charge_for_a_failed_job_is_a_loss_that_counts_in_the_budget(at: Stage) -> None:
    at.skills.charge_failed = True
    async with at.easel(budget_monthly=60, monthly_credits=60):
        for number in range(2):
            at.skills.fail_next("Content was rejected", "IMAGE_GENERATION_CONTENT_REJECTED")
            await at.imagine(f"a hen {number}", **SKILLS)
            await at.settled(number + 1)
        usage = (await at.usage()).text()
        await at.imagine("a hen 2", **SKILLS)
        await at.result("a hen 2")
        refused = text_of(await at.imagine("a hen 3", **SKILLS))

    assert "budget for the month is not enough" in refused
    assert "Used: **0 credits**" in usage
    assert "Left: **60 credits**" in usage
    losses = await at.losses()
    assert [entry.amount for entry in losses] == [-20_000, -20_000]
    assert {account(entry) for entry in losses} == {Account(0, at.server.id)}
    assert {entry.reason for entry in losses} <= at.skills.generations.keys()
    assert await adds_up(at)


@pytest.mark.long
async def test_an_unknown_outcome_is_a_loss_of_the_price(at: Stage) -> None:
    at.skills.faults.add("POST", GENERATION, Reset())
    async with at.easel(budget_monthly=30):
        await at.imagine("a hen", **SKILLS)
        (job,) = await at.settled()
        refused = text_of(await at.imagine("a hare", **SKILLS))

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.DOUBTFUL)
    assert "budget for the month is not enough" in refused
    assert [(entry.amount, entry.reason) for entry in await at.losses()] == [
        (-20_000, "unknown outcome")
    ]
    assert await at.balance() == 0
    assert await adds_up(at)


@pytest.mark.long
async def test_after_five_losses_in_an_hour_a_member_waits(at: Stage) -> None:
    at.skills.charge_failed = True
    async with at.easel():
        for number in range(5):
            at.skills.fail_next("Content was rejected", "IMAGE_GENERATION_CONTENT_REJECTED")
            await at.imagine(f"a hen {number}", **SKILLS)
            await at.settled(number + 1)
        refused = text_of(await at.imagine("a sixth hen", **SKILLS))
        await at.imagine("a hare", by=at.ben, **SKILLS)
        await at.result("a hare")
        at.clock.move(minutes=61)
        await at.imagine("a seventh hen", **SKILLS)
        await at.result("a seventh hen")

    assert "5 of your jobs failed within an hour" in refused
    assert "<t:" in refused


async def test_a_job_that_was_given_up_stays_reserved_until_its_end(at: Stage) -> None:
    at.skills.manual = True
    limits = {"budget_monthly": 45, "monthly_credits": 30}
    async with at.easel(**limits):
        await at.imagine("a hen", **SKILLS)
        await at.said("Drawing")
        at.clock.move(minutes=14)
        (job,) = await at.settled()
        usage = (await at.usage()).text()
        refused = text_of(await at.imagine("a hare", **SKILLS))
        await at.imagine("an owl", by=at.ben, **SKILLS)  # 20 of 45 are reserved
        refused_too = text_of(await at.imagine("a fox", by=at.ben))
        at.clock.move(hours=25)
        later = (await at.usage()).text()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.TIMEOUT)
    assert "Reserved: **20 credits**" in usage
    assert "Left: **10 credits**" in usage
    assert "you have 10 credits left" in refused
    assert "budget for the month is not enough" in refused_too
    assert "Reserved" not in later
    assert "Left: **30 credits**" in later


@pytest.mark.long
async def test_the_end_of_a_job_that_was_given_up_ends_the_reservation(at: Stage) -> None:
    at.skills.manual = True
    at.skills.charge_failed = True
    at.skills.fail_next("Out of memory")
    async with at.easel(monthly_credits=25):
        await at.imagine("a hen", **SKILLS)
        await at.said("Drawing")
        at.clock.move(minutes=14)
        await at.settled()
        (remote_id,) = at.skills.generations
        at.skills.finish(remote_id)
        at.clock.move(hours=2)  # later than costs are asked for that come after an end
        async with asyncio.timeout(20):
            while not await at.losses():
                await asyncio.sleep(0.05)
        usage = (await at.usage()).text()

    assert "Reserved" not in usage
    assert "Left: **25 credits**" in usage
    assert [entry.amount for entry in await at.losses()] == [-20_000]
    assert await adds_up(at)


@pytest.mark.long
async def test_zero_for_a_finished_picture_is_charged_as_the_price(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.price = 0
    async with at.easel():
        await at.imagine("a hen", **SKILLS)
        await at.result("a hen")
        (job,) = await at.settled()

    assert (job.cost, job.estimated) == (20_000, True)
    assert await at.balance() == -20_000
    assert "reported no cost, or zero" in caplog.text


@pytest.mark.long
async def test_the_price_follows_the_dearest_reported_cost(at: Stage) -> None:
    at.skills.price = 95
    async with at.easel(budget_monthly=200):
        await at.imagine("a hen", **SKILLS)
        await at.result("a hen")
        await at.settled()
        models = text_of(await at.command("models"))
        await at.imagine("an owl", **SKILLS)
        await at.result("an owl")
        refused = text_of(await at.imagine("a hare", **SKILLS))
    async with at.easel():
        again = text_of(await at.command("models"))
        at.clock.move(days=31)
        await asyncio.sleep(2.5)  # a turn of the housekeeping
        later = text_of(await at.command("models"))

    assert "95 credits a picture" in models
    assert "95 credits a picture" in again
    assert "20 credits a picture" in later
    assert "budget for the month is not enough" in refused
    assert {job.price for job in await at.jobs()} == {20_000, 95_000}


@pytest.mark.long
async def test_a_cost_beyond_five_times_the_list_price_is_held_in_part(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.skills.price = 300
    async with at.easel():
        await at.imagine("a hen", **SKILLS)
        await at.result("a hen")
        await at.settled()
        models = text_of(await at.command("models"))

    assert "100 credits a picture" in models
    assert "a picture of skills cost 300 credits, over 5 times the list price" in caplog.text


@pytest.mark.long
async def test_a_refusal_that_is_free_is_no_loss(at: Stage) -> None:
    answer = Answer(422, {"error": {"message": "prompt rejected"}})
    at.skills.faults.add("POST", GENERATION, answer, times=None)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"a hen {number}", **SKILLS)
            await at.settled(number + 1)

    assert await at.losses() == []


@pytest.mark.long
async def test_oxens_charge_for_a_failed_generation_is_found_in_the_history(at: Stage) -> None:
    at.oxen.charge_failed = True
    at.oxen.fail_next("Out of memory")
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.settled()

    assert [entry.amount for entry in await at.losses()] == [-7_500]
    assert await at.balance() == 0
    assert await adds_up(at)


@pytest.mark.long
async def test_a_charge_for_a_canceled_generation_is_a_loss(at: Stage) -> None:
    at.oxen.manual = True
    at.oxen.charge_cancelled = True
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.said("Drawing")
        (remote_id,) = at.oxen.generations
        at.oxen.advance(remote_id, "processing")
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert [entry.amount for entry in await at.losses()] == [-7_500]
    assert await at.balance() == 0
    assert await adds_up(at)


@pytest.mark.long
async def test_a_generation_that_oxen_lists_late_is_delivered_and_its_loss_reversed(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer was lost, and the lists were empty until the job had failed."""
    at.oxen.faults.add("POST", "/api/ai/queue", ResetAfter())
    empty = [
        at.oxen.faults.add("GET", path, Answer(200, {"generations": []}), times=None)
        for path in ("/api/ai/queue", "/api/ai/generations")
    ]
    async with at.easel(monthly_credits=100):
        await at.imagine("a fox", model="oxen")
        await at.said("Please try again")
        await at.settled()
        (lost,) = await at.losses()
        for rule in empty:
            rule.remove()
        at.clock.move(minutes=5)
        async with asyncio.timeout(20):
            while "of a failed job with an unknown outcome" not in caplog.text:
                await asyncio.sleep(0.05)
        at.clock.move(minutes=5)
        await at.result("a fox")
        (job,) = await at.settled()

    assert lost.reason == "unknown outcome"
    assert sum(entry.amount for entry in await at.losses()) == 0
    assert (job.status, job.cost) == (JobStatus.FAILED, 7_500)
    assert await at.balance() == -7_500
    assert len(at.created()) == 1
    assert await adds_up(at)


@pytest.mark.long
@pytest.mark.parametrize("end", ["failed", "canceled"])
async def test_a_charge_that_is_reported_after_the_end_is_a_loss(at: Stage, end: str) -> None:
    at.oxen.charge_failed = at.oxen.charge_cancelled = True
    at.oxen.cost_delay = 1.0
    if end == "failed":
        at.oxen.fail_next("Out of memory")
    else:
        at.oxen.manual = True
    async with at.easel(budget_monthly=10):
        await at.imagine("a fox", model="oxen")
        if end == "canceled":
            await at.said("Drawing")
            at.oxen.advance(next(iter(at.oxen.generations)), "processing")
            await at.command("cancel", job=(await at.jobs())[0].id)
        (job,) = await at.settled()
        (remote_id,) = at.oxen.generations
        assert (job.status, await at.losses()) == (JobStatus(end), [])
        fails = at.oxen.faults.add("GET", "/api/ai/generations/.*", Reset(), times=9)
        await asyncio.sleep(2.5)  # a turn of the housekeeping, which does not ask yet
        assert fails.hits == 0
        at.clock.move(minutes=2)
        await fails.reached()
        at.oxen.faults.clear()
        at.clock.move(minutes=6)
        async with asyncio.timeout(20):
            while not await at.losses():
                await asyncio.sleep(0.05)
        refused = text_of(await at.imagine("another fox", model="oxen"))

    assert [(entry.amount, entry.reason) for entry in await at.losses()] == [(-7_500, remote_id)]
    assert "budget" in refused
    assert await adds_up(at)


@pytest.mark.long
async def test_a_charge_for_pictures_that_are_gone_is_a_loss(at: Stage) -> None:
    at.skills.faults.add("GET", OUTPUT, Answer(404, b"gone"), times=None)
    async with at.easel(budget_monthly=25):
        await at.imagine("a fox", **SKILLS)
        await at.said("Drawing")
        async with asyncio.timeout(30):
            while not (await at.jobs())[0].status.settled:
                at.clock.move(minutes=2)  # beyond JOB_TIMEOUT, and the time for a retry
                await asyncio.sleep(0.2)
        reserved = text_of(await at.imagine("another fox", **SKILLS))
        assert await at.losses() == []  # the pictures may come back for half an hour
        at.clock.move(minutes=31)
        async with asyncio.timeout(20):
            while not await at.losses():
                await asyncio.sleep(0.05)
        refused = text_of(await at.imagine("another fox", **SKILLS))

    assert [entry.amount for entry in await at.losses()] == [-20_000]
    assert "budget" in reserved
    assert "budget" in refused
    assert await at.balance() == 0
    assert await adds_up(at)


@pytest.mark.long
async def test_the_price_of_a_generation_that_the_service_does_not_find_stays_reserved(
    at: Stage,
) -> None:
    at.skills.faults.add("GET", GENERATION, Answer(404, {"error": "not found"}), times=None)
    async with at.easel(budget_monthly=25):
        await at.imagine("a fox", **SKILLS)
        (job,) = await at.settled()
        refused = text_of(await at.imagine("another fox", **SKILLS))
        at.skills.faults.clear()
        at.clock.move(minutes=6)
        await at.result("a fox")
        await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.NOT_FOUND)
    assert "budget" in refused
    assert await at.balance() == -20_000
    assert await adds_up(at)


@pytest.mark.long
async def test_each_late_charge_of_a_job_is_a_loss_also_beside_others(at: Stage) -> None:
    """One of two failed generations is charged at once, the other later."""
    at.oxen.charge_failed = True
    at.oxen.fail_next("Out of memory", times=2)
    async with at.easel():
        await at.imagine("a fox", model="oxen", count=2)
        at.oxen.faults.add("GET", "/api/ai/generations/.*", Answer(404, {"error": "not yet"}))
        await at.settled()
        assert len(await at.losses()) == 1
        at.clock.move(minutes=2)
        async with asyncio.timeout(20):
            while len(await at.losses()) < 2:
                await asyncio.sleep(0.05)

    assert {entry.reason for entry in await at.losses()} == at.oxen.generations.keys()
    assert await adds_up(at)
