"""Budgets of the single services: refusals, and models that Easel chooses itself."""

import pytest

from bot.quotas import Member
from bot.sandbox.http.faults import Answer
from bot.store.balances import Level
from bot.studio import PictureRequest
from tests.support.easel import Stage, text_of
from tests.support.rows import new_job

OWN_503 = Answer(503, {"error": {"message": "Service temporarily unavailable"}})


@pytest.mark.parametrize(
    ("model", "setting", "limit", "service"),
    [
        ("oxen", "oxen_budget_monthly", "7.499", "Oxen.ai"),
        ("skills", "skills_budget_monthly", "19.999", "skills.video"),
    ],
)
async def test_a_used_up_budget_names_the_service_as_members_know_it(
    at: Stage, model: str, setting: str, limit: str, service: str
) -> None:
    async with at.easel(**{setting: limit}):
        refused = text_of(await at.imagine("a fox", model=model))

    assert f"This bot's budget at {service} for the month is not enough: " in refused
    assert "Choose a model of another service, or ask the bot's operator." in refused
    assert await at.jobs() == []


async def test_a_refusal_says_how_many_pictures_fit(at: Stage) -> None:
    async with at.easel(oxen_budget_monthly=15):
        refused = text_of(await at.imagine("a fox", model="oxen", count=4))
        await at.imagine("a fox", model="oxen", count=2)
        await at.result("a fox")

    assert "2 pictures fit: set count to 2." in refused


async def test_whoever_names_no_model_gets_one_of_a_service_whose_budget_is_left(
    at: Stage,
) -> None:
    async with at.easel(oxen_budget_monthly=7.5, skills_budget_monthly=20):
        await at.imagine("a fox")
        await at.result("a fox")
        asked = await at.imagine("a hare")
        assert asked.message is not None
        assert "skills.video" in asked.message.text()
        await at.result("a hare")
        # Both are used up: the refusal is that of the service which comes first.
        refused = text_of(await at.imagine("an owl"))

    assert "budget at Oxen.ai" in refused
    assert [job.request.model for job in await at.jobs()] == ["skills", "oxen"]


@pytest.mark.long
async def test_a_request_that_no_other_service_takes_is_refused(at: Stage) -> None:
    async with at.easel(oxen_budget_monthly=0):
        option = text_of(await at.imagine("a fox", aspect_ratio="2:1"))
        seeds = text_of(await at.imagine("a fox", model="oxen"))

    assert "budget at Oxen.ai" in option  # skills.video has no such value
    assert "budget at Oxen.ai" in seeds
    assert await at.jobs() == []


@pytest.mark.long
async def test_the_choice_is_bound_by_every_other_quota(at: Stage) -> None:
    """The other service is dearer than what the member has left."""
    async with at.easel(oxen_budget_monthly=0, monthly_credits=10):
        refused = text_of(await at.imagine("a fox"))

    assert "One picture costs 20 credits, and you have 10 credits left." in refused


@pytest.mark.long
async def test_one_warning_is_given_at_80_per_cent_of_a_services_budget(at: Stage) -> None:
    member = Member(at.ada.id, at.server.id)
    async with at.easel(oxen_budget_monthly=75, budget_monthly=1000) as app:
        found = []
        for number in range(9):
            request = PictureRequest(number + 1, "a fox", {}, model="oxen")
            held = await app.studio.requests.create(member, new_job().route, request)
            found.append([(each.level, each.sum.left) for each in held.warnings])
            await app.studio.requests.withdraw(held.job.id) if number == 8 else None

    assert found == [[], [], [], [], [], [], [], [(Level.PROVIDER, 15_000)], []]


@pytest.mark.long
async def test_failover_spares_a_service_whose_budget_is_used_up(at: Stage) -> None:
    at.oxen.faults.add("GET", "/api/ai/models/.*", OWN_503, times=None)
    at.oxen.faults.add("POST", "/api/ai/queue", OWN_503, times=None)
    async with at.easel(skills_budget_monthly=30):
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben)
        await at.said("does not work at the moment")
        await at.imagine("a hare")
        await at.result("a hare")  # at skills.video, which has 10 left now
        asked = await at.imagine("an owl")  # waits for Oxen.ai, as jobs do whose member named that
        assert asked.message is not None
        assert "does not work at the moment" in asked.message.text()
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.result("an owl")

    assert [job.request.model for job in await at.jobs()] == ["oxen", "skills"]
    assert len(at.skills.generations) == 1
