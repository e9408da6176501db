"""The balance at skills.video: read by the worker, and the floor under which jobs are refused."""

import asyncio
import logging

import pytest

from bot.app import App
from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.http.faults import Answer, Hold
from bot.store.coordination import Role
from tests.support.easel import Stage, text_of

pytestmark = pytest.mark.long

CREDITS = "/api/v1/credits"
NO_CREDITS = "skills.video has no credits left for this bot."
REFUSED = "balance at skills is {} credits, under the floor of {}: new jobs are refused"


def left(at: Stage, credits: int) -> None:
    at.skills.subscription, at.skills.permanent = 0, credits


async def known(app: App, credits: int, *, timeout: float = 20.0) -> None:
    """Wait until this process knows the balance."""
    async with asyncio.timeout(timeout):
        while (found := app.services.balances.known.get("skills")) is None or (
            found.credits != 1000 * credits
        ):
            await asyncio.sleep(0.02)


async def until_low(app: App, low: bool) -> None:
    async with asyncio.timeout(20):
        while bool(app.services.balances.low) is not low:
            await asyncio.sleep(0.02)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    found = [each for each in caplog.records if each.name == "bot.worker.balances"]
    return [each.getMessage() for each in found if each.levelno == level]


def readings(at: Stage) -> int:
    return sum(each.path == CREDITS for each in at.skills.requests)


async def test_under_the_floor_new_jobs_are_refused_before_money_is_held(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    left(at, 99)
    async with at.easel(skills_floor=100) as app:
        await known(app, 99)
        refused = text_of(await at.imagine("a hen", model="skills"))
        assert await at.jobs() == []
        await at.imagine("a fox")  # who names no model is served by the other service
        await at.result("a fox")

        left(at, 100)
        at.clock.move(minutes=6)
        await known(app, 100)
        await at.imagine("a hen", model="skills")
        await at.result("a hen")

    assert refused.startswith(NO_CREDITS)
    assert "Choose a model of another service, or tell the bot's operator." in refused
    assert lines(caplog, logging.WARNING) == [REFUSED.format(99, 100)]
    (again,) = [each for each in lines(caplog, logging.INFO) if "accepted again" in each]
    assert "the balance was 100 credits" in again


async def test_whoever_names_no_model_gets_one_of_a_service_with_credits(at: Stage) -> None:
    left(at, 5)
    async with at.easel(skills_floor="20.5", default_model="skills") as app:
        await known(app, 5)
        asked = await at.imagine("a fox")
        assert asked.message is not None
        assert "Oxen.ai" in asked.message.text()
        await at.result("a fox")
        # Nothing but skills.video has this option.
        assert NO_CREDITS in text_of(await at.imagine("a hen", image_size="square"))

    assert at.skills.generations == {}


async def test_jobs_that_were_accepted_before_go_on(at: Stage) -> None:
    at.skills.hold_generations()
    async with at.easel(skills_floor=1485) as app:
        await known(app, 1500)
        await at.imagine("a hen", model="skills")
        await at.said("Drawing")
        at.clock.move(minutes=6)
        await known(app, 1480)
        at.skills.release_generations()
        at.clock.move(minutes=1)  # the next poll
        await at.result("a hen")
        assert NO_CREDITS in text_of(await at.imagine("an owl", model="skills"))


async def test_a_refusal_for_missing_credits_lets_the_balance_be_read_at_once(at: Stage) -> None:
    async with at.easel(skills_floor=20) as app:
        await known(app, 1500)
        left(at, 0)
        at.clock.move(seconds=11)  # not more often than every ten seconds
        await at.imagine("a hen", model="skills")
        (job,) = await at.settled()
        await known(app, 0)
        assert NO_CREDITS in text_of(await at.imagine("a hen", model="skills"))

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.CREDITS)
    assert readings(at) == 2


async def test_an_old_balance_refuses_nothing(at: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    left(at, 50)
    async with at.easel(skills_floor=100) as app:
        await known(app, 50)
        away = at.skills.faults.add("GET", CREDITS, Answer(404, {"message": "gone"}), times=None)
        at.clock.move(minutes=53)
        await away.reached()
        at.clock.move(minutes=6)
        await away.reached(hits=2)
        assert NO_CREDITS in text_of(await at.imagine("a hen", model="skills"))
        at.clock.move(minutes=2)
        await until_low(app, low=False)
        await at.imagine("a hen", model="skills")
        await at.result("a hen")
        async with asyncio.timeout(20):  # the line is written at the next look at the balances
            while "accepted again" not in caplog.text:
                await asyncio.sleep(0.02)

    assert lines(caplog, logging.WARNING) == [REFUSED.format(50, 100)]
    found = lines(caplog, logging.INFO)
    assert sum("accepted again" in each for each in found) == 1
    assert sum("not read, retrying" in each for each in found) == 1  # the first failure alone


@pytest.mark.parametrize(
    "answer", [{}, {"credits": "plenty"}, "[]", "plenty", {"total": -5}, {"total": None}]
)
async def test_an_answer_without_a_number_is_no_balance(
    at: Stage, answer: str | dict[str, object]
) -> None:
    rule = at.skills.faults.add("GET", CREDITS, Answer(200, answer), times=None)
    async with at.easel(skills_floor=100) as app:
        await rule.reached()
        await at.imagine("a hen", model="skills")
        await at.result("a hen")
        assert app.services.balances.known == {}


async def test_a_restart_knows_the_balance_and_does_not_log_it_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    left(at, 50)
    async with at.easel(skills_floor=100) as app:
        await known(app, 50)
        await until_low(app, low=True)
        async with asyncio.timeout(20):
            while not lines(caplog, logging.WARNING):
                await asyncio.sleep(0.02)
    at.skills.faults.add("GET", CREDITS, Hold(), times=None)  # the service does not answer now
    async with at.easel(skills_floor=100) as app:
        assert NO_CREDITS in text_of(await at.imagine("a hen", model="skills"))
        await asyncio.sleep(0.1)

    assert len(lines(caplog, logging.WARNING)) == 1


async def test_a_member_never_waits_for_the_balance(at: Stage) -> None:
    held = at.skills.faults.add("GET", CREDITS, Hold(), times=None)
    async with at.easel(skills_floor=100):
        await held.reached()
        await at.imagine("a hen", model="skills")
        await at.result("a hen")
    held.release()


async def test_a_gateway_knows_what_the_worker_has_read(at: Stage) -> None:
    if not at.postgres_url:
        return  # a file belongs to one process
    left(at, 50)
    async with at.app(role=Role.WORKER, skills_floor=100) as worker:
        working = asyncio.create_task(worker.run())
        async with at.app(role=Role.GATEWAY, skills_floor=100) as gateway:
            serving = asyncio.create_task(gateway.run())
            await at.discord.connected()
            await at.discord.commands_registered()
            await known(gateway, 50)
            assert NO_CREDITS in text_of(await at.imagine("a hen", model="skills"))
            readings_then = readings(at)
            gateway.stop()
            await serving
        worker.stop()
        await working

    assert readings_then == 1
