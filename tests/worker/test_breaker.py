"""A service that is down: nothing is lost one by one, and it is found again when it is back."""

import asyncio
from datetime import timedelta

import pytest

from bot.errors import ProviderError, Reason
from bot.jobs import JobStatus
from bot.sandbox.discord import Message
from bot.sandbox.http.faults import Answer, Rule
from bot.store import ledger
from bot.store.audit import verify
from bot.worker.breaker import FAILURES, Breaker, State
from tests.support.easel import Stage, text_of
from tests.support.rows import NOW

pytestmark = pytest.mark.long

QUEUE = "/api/ai/queue"
MODELS = "/api/ai/models/.*"
OWN_503 = Answer(503, {"error": {"message": "Service temporarily unavailable"}})
SECOND = timedelta(seconds=1)
DOWN = "does not work at the moment"
UNAVAILABLE = ProviderError(Reason.UNAVAILABLE)


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(UNAVAILABLE, NOW)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(UNAVAILABLE, NOW)
    assert breaker.state is State.CLOSED

    breaker.worked()
    breaker.failed(UNAVAILABLE, NOW)
    assert breaker.state is State.CLOSED
    assert opened().state is State.OPEN


@pytest.mark.parametrize("reason", [Reason.REJECTED, Reason.INVALID, Reason.AUTH, Reason.CREDITS])
def test_what_is_about_the_request_says_that_it_works(reason: Reason) -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(UNAVAILABLE, NOW)
        breaker.failed(ProviderError(reason), NOW)

    assert breaker.state is State.CLOSED


def test_it_asks_later_and_later_and_one_request_decides() -> None:
    breaker = opened()
    assert not breaker.asks(NOW + 4 * SECOND)
    assert breaker.asks(NOW + 5 * SECOND)

    breaker.answered()
    assert breaker.state is State.HALF_OPEN
    breaker.failed(UNAVAILABLE, NOW)
    assert not breaker.asks(NOW + 9 * SECOND)
    assert breaker.asks(NOW + 10 * SECOND)

    breaker.answered()
    breaker.worked()
    assert not breaker.asks(NOW + timedelta(days=1))


def test_a_pause_that_the_api_asks_for_is_kept() -> None:
    breaker = Breaker()
    breaker.failed(ProviderError(Reason.RATE_LIMITED, retry_after=40.0), NOW)

    assert breaker.state is State.OPEN
    assert not breaker.asks(NOW + 39 * SECOND)
    assert breaker.asks(NOW + 40 * SECOND)


def oxen_is_down(at: Stage) -> Rule:
    at.oxen.faults.add("GET", MODELS, OWN_503, times=None)
    return at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)


def statuses(at: Stage) -> list[Message]:
    return [
        message
        for message in at.discord.channel_messages(at.channel)
        if DOWN in message.text() and not message.deleted
    ]


async def test_while_it_is_down_jobs_wait_and_one_notice_says_so(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben if number % 2 else at.ada)
        await at.said(DOWN)
        await asyncio.sleep(2.5)
        assert len(at.created()) <= 4  # those that were on their way at once
        assert len(statuses(at)) == 1
        assert {job.status for job in await at.jobs()} == {JobStatus.QUEUED}

        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(3, timeout=20)

    assert {job.status for job in await at.jobs()} == {JobStatus.SUCCEEDED}
    assert len(at.oxen.generations) == 6


async def told(at: Stage) -> Message:
    """The one that says so, after it has been looked whether another should."""
    await at.said(DOWN)
    await asyncio.sleep(2.5)
    (status,) = statuses(at)
    return status


async def test_with_each_try_that_fails_the_one_notice_stays(at: Stage) -> None:
    """The API answers what costs nothing, and takes no work: it is held for down anew each time."""
    refused = at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben if number % 2 else at.ada)
        first = await told(at)
        await at.imagine("a hare", model="oxen", by=at.ben)
        tries = refused.hits
        for again in range(1, 4):
            at.clock.move(minutes=1)
            await refused.reached(hits=tries + again)
            assert await told(at) == first


async def test_when_the_one_that_says_so_is_canceled_another_does(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(4):
            await at.imagine(f"fox {number}", model="oxen")
        first = await told(at)
        await (await at.discord.click(at.ada, first, cancel_of(first))).answered()
        second = await told(at)
        later = await at.imagine("a hare", model="oxen", by=at.ben)
        assert later.message is not None
        assert DOWN not in later.message.text()
        hidden = await at.imagine("a whale", model="oxen", by=at.ben, private=True)
        assert DOWN in text_of(hidden)

    assert first != second


def cancel_of(message: Message) -> str:
    return str(message.buttons()[0]["custom_id"])


async def test_who_names_no_model_is_served_by_the_other(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben)
        await at.said(DOWN)
        asked = await at.imagine("a hare")
        assert asked.message is not None
        assert "skills.video" in asked.message.text()
        elsewhere = at.discord.add_channel(at.server, "sketches")
        named = await at.command("imagine", where=elsewhere, prompt="a whale", model="oxen")
        assert named.message is not None
        assert DOWN in named.message.text()
        await at.result("a hare")

    assert len(at.skills.generations) == 1


async def test_what_waits_goes_to_the_other_where_its_member_named_no_model(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        named = await at.imagine("a whale", model="oxen", by=at.ben)
        for number in range(3):
            await at.imagine(f"hare {number}")
        for number in range(3):
            await at.result(f"hare {number}", timeout=20)
        assert named.message is not None
        assert not named.message.deleted

    assert len(at.skills.generations) == 3
    moved = await at.jobs()
    assert {job.request.model for job in moved} == {"skills"}
    assert {job.price for job in moved} == {20_000}
    assert {job.request.model for job in await at.jobs(at.ben)} == {"oxen"}
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()
        usage = await ledger.usage_of(view, at.ada.id, at.clock(), None)
    assert usage.jobs == 3
    assert usage.held == 0
    assert usage.used == sum(job.cost or 0 for job in moved)


async def test_it_waits_where_the_other_costs_more_than_its_member_has_left(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel(monthly_credits=20):
        for number in range(2):
            await at.imagine(f"whale {number}", model="oxen", by=at.ben)
        await at.imagine("a hare")
        await at.imagine("an owl")
        await at.said(DOWN)
        await asyncio.sleep(2.5)
        assert {job.request.model for job in await at.jobs()} == {"oxen"}
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(2, timeout=20)

    assert len(at.oxen.generations) == 4
    assert at.skills.generations == {}


async def test_when_it_is_back_who_names_no_model_is_led_there_again(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Else it would be held for down until somebody names it."""
    oxen_is_down(at)
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben)
        await at.said(DOWN)
        for job in await at.jobs(at.ben):
            await at.command("cancel", job=job.id, by=at.ben)
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        async with asyncio.timeout(15):
            while "oxen works again" not in caplog.text:
                await asyncio.sleep(0.05)
        await at.imagine("a hare")
        await at.result("a hare")

    assert len(at.oxen.generations) == 1
    assert at.skills.generations == {}


async def test_what_waited_for_half_an_hour_fails_uncharged(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(4):
            await at.imagine(f"fox {number}", model="oxen")
        await at.said(DOWN)
        at.clock.move(minutes=31)
        found = await at.settled(4, timeout=20)

    assert {job.status for job in found} == {JobStatus.FAILED}
    assert await at.balance() == 0
    assert at.oxen.generations == {}


async def test_a_doubt_is_not_repeated_with_every_job(at: Stage) -> None:
    """A gateway in front of the service that answers 502: who knows what it let through."""
    at.oxen.faults.add("POST", QUEUE, Answer(502, "<html>bad gateway</html>"), times=None)
    at.oxen.faults.add("GET", MODELS, Answer(502, "<html>bad gateway</html>"), times=None)
    async with at.easel():
        for number in range(8):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben if number % 2 else at.ada)
        await at.said(DOWN)
        assert len(at.created()) <= 4 + FAILURES
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        async with asyncio.timeout(30):
            while any(not job.status.settled for job in [*await at.jobs(), *await at.jobs(at.ben)]):
                await asyncio.sleep(0.1)
        found = [*await at.jobs(), *await at.jobs(at.ben)]

    made = [job for job in found if job.status is JobStatus.SUCCEEDED]
    assert len(made) == len(at.oxen.generations) >= 1
    assert {job.reason for job in found if job not in made} == {Reason.DOUBTFUL}
