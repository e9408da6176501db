"""A provider that is down: nothing is lost one by one, and jobs go elsewhere or wait."""

import asyncio

import pytest

from bot.errors import Reason
from bot.health import FAILURES
from bot.jobs import JobStatus
from bot.sandbox.discord import Message, Upload
from bot.sandbox.http.faults import Answer, Hold, Reset, Rule
from bot.store import ledger
from bot.store.audit import verify
from bot.store.queue import BATCH
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.rights import allow

pytestmark = pytest.mark.long

QUEUE = "/api/ai/queue"
MODELS = "/api/ai/models/.*"
OWN_503 = Answer(503, {"error": {"message": "Service temporarily unavailable"}})
BROKEN = Answer(500, {"error": {"message": "Internal server error"}})
DOWN = "does not work at the moment"


def oxen_is_down(at: Stage) -> Rule:
    at.oxen.faults.add("GET", MODELS, OWN_503, times=None)
    return at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)


def statuses(at: Stage) -> list[Message]:
    return [
        message
        for message in at.discord.channel_messages(at.channel)
        if DOWN in message.text() and not message.deleted
    ]


async def reported(at: Stage, count: int) -> list[Message]:
    """Wait until so many status messages report the outage."""
    async with asyncio.timeout(20):
        while len(found := statuses(at)) != count:
            await asyncio.sleep(0.05)
    return found


async def test_while_a_provider_is_down_every_waiting_job_says_so(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben if number % 2 else at.ada)
        await reported(at, 6)
        # Those before the third failure, and those on their way then; none a second time.
        assert len({body["prompt"] for body in at.created()}) == len(at.created()) <= 6
        assert {job.status for job in await at.jobs()} == {JobStatus.QUEUED}

        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(3)

    assert {job.status for job in await at.jobs()} == {JobStatus.SUCCEEDED}
    assert len(at.oxen.generations) == 6


async def test_a_ping_that_fails_leaves_the_provider_down_and_is_repeated(at: Stage) -> None:
    at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    pings = at.oxen.faults.add("GET", MODELS, Reset(), times=None)
    async with at.easel():
        await asyncio.gather(*(at.imagine("a fox", model="oxen") for _ in range(FAILURES)))
        await reported(at, FAILURES)
        before, created = pings.hits, len(at.created())
        for number in range(1, 4):
            at.clock.move(minutes=2)
            await pings.reached(hits=before + number)
        await asyncio.sleep(0.3)
        assert len(at.created()) == created
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(FAILURES)

    assert len(at.oxen.generations) == FAILURES


async def test_a_status_message_is_edited_once_for_an_outage(at: Stage) -> None:
    """The API answers probes and refuses every job, of any member: it goes down each time."""
    members = [at.ada, at.ben, at.discord.add_user("Cleo")]
    refused = at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen", by=members[number % 3])
        await reported(at, 6)
        attempts = refused.hits
        edits = sum(each.method == "PATCH" for each in at.discord.requests)
        await asyncio.sleep(4.5)  # two turns of the housekeeping
        assert sum(each.method == "PATCH" for each in at.discord.requests) == edits

        at.clock.move(minutes=1)
        await refused.reached(hits=attempts + 1)
        await reported(at, 6)


async def test_a_notice_stays_while_probes_are_answered_and_submits_hang(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.providers.oxen.provider.SUBMIT_TIMEOUT", 1.0)
    members = [at.ada, at.ben, at.discord.add_user("Cleo")]
    refused = at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen", by=members[number % 3])
        await reported(at, 6)
        refused.remove()
        hanging = at.oxen.faults.add("POST", QUEUE, Hold(), times=None)
        edits = sum(each.method == "PATCH" for each in at.discord.requests)
        for cycle in range(2):
            at.clock.move(minutes=1, seconds=5)
            await hanging.reached(hits=cycle + 1)
            await asyncio.sleep(2.5)  # a turn of the housekeeping while the submit hangs
            found = [job for member in members for job in await at.jobs(member)]
            waiting = [job for job in found if job.status is JobStatus.QUEUED]
            assert len(statuses(at)) >= len(waiting)
        assert sum(each.method == "PATCH" for each in at.discord.requests) == edits


async def test_a_request_during_the_outage_reports_it_in_the_reply(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen")
        await reported(at, 3)
        public = await at.imagine("a hare", model="oxen", by=at.ben)
        private = await at.imagine("a whale", model="oxen", by=at.ben, private=True)
        assert public.message is not None
        assert DOWN in public.message.text()
        assert DOWN in text_of(private)


async def test_the_end_of_the_outage_is_shown_to_the_jobs_that_still_wait(at: Stage) -> None:
    oxen_is_down(at)
    async with at.easel():
        for number in range(8):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben if number % 2 else at.ada)
        await reported(at, 8)
        at.oxen.faults.clear()
        held = at.oxen.faults.add("POST", QUEUE, Hold(), times=None)
        at.clock.move(minutes=2)
        await held.reached()
        await asyncio.sleep(2.5)  # a turn of the housekeeping
        await reported(at, 8)  # the probe was answered, and no job has been accepted yet
        at.oxen.manual = True
        at.oxen.faults.clear()
        held.release()
        await reported(at, 0)
        at.oxen.manual = False
        await at.finish()
        await at.settled(4)


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
            await at.result(f"hare {number}")
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
        await reported(at, 4)  # also the two that stay
        assert {job.request.model for job in await at.jobs()} == {"oxen"}
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(2)

    assert len(at.oxen.generations) == 4
    assert at.skills.generations == {}


async def test_it_waits_where_the_roles_do_not_allow_the_model_of_the_other(at: Stage) -> None:
    oxen_is_down(at)
    await allow(at, models=frozenset({"oxen"}))
    async with at.easel():
        for number in range(2):
            await at.imagine(f"whale {number}", model="oxen", by=at.ben)
        await at.imagine("a hare")
        await reported(at, 3)
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        await at.settled(1)

    assert len(at.oxen.generations) == 3
    assert at.skills.generations == {}


async def test_when_it_is_back_who_names_no_model_is_led_there_again(at: Stage) -> None:
    """Else it would be held for down until somebody names it."""
    oxen_is_down(at)
    async with at.easel() as app:
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen", by=at.ben)
        await at.said(DOWN)
        for job in await at.jobs(at.ben):
            await at.command("cancel", job=job.id, by=at.ben)
        at.oxen.faults.clear()
        at.clock.move(minutes=2)
        async with asyncio.timeout(20):
            while "oxen" in app.services.health.down:
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
        found = await at.settled(4)

    assert {job.status for job in found} == {JobStatus.FAILED}
    assert await at.balance() == 0
    assert at.oxen.generations == {}


async def test_requests_of_one_member_that_break_the_service_close_it_for_nobody(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    failed = at.oxen.faults.add("POST", QUEUE, BROKEN, times=6)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen")
        await failed.reached(hits=6)
        await at.imagine("a hare", by=at.ben)
        await at.result("a hare")

    (job,) = await at.jobs(at.ben)
    assert (job.provider, job.cost) == ("oxen", 7_500)
    assert "oxen is down" not in caplog.text


async def test_an_input_that_breaks_the_service_closes_it_for_nobody(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent by three members, in files with other names."""
    failed = at.oxen.faults.add("POST", QUEUE, BROKEN, times=3)
    content = picture()
    async with at.easel():
        for number in range(3):
            member = at.discord.add_user(f"Member {number}")
            await at.edit(Upload(f"{number}.png", content), by=member, model="oxen")
        await failed.reached(hits=3)
        await at.imagine("a hare", by=at.ben)
        await at.result("a hare")

    assert "oxen is down" not in caplog.text


async def test_one_member_finds_an_outage_by_the_probe_after_the_failures(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.oxen.faults.add("GET", MODELS, BROKEN, times=None)
    at.oxen.faults.add("POST", QUEUE, BROKEN, times=None)
    async with at.easel():
        for number in range(10):
            await at.imagine(f"fox {number}", model="oxen")
        await at.said(DOWN)

    assert len(at.created()) <= 4 + FAILURES
    assert "oxen is down" in caplog.text


async def test_a_job_whose_member_names_a_model_that_is_down_is_sent_with_the_next_probe(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """The probe alone would never find that the service makes pictures."""
    at.oxen.faults.add("GET", MODELS, OWN_503, times=None)
    refused = at.oxen.faults.add("POST", QUEUE, OWN_503, times=None)
    async with at.easel():
        for number in range(3):
            await at.imagine(f"fox {number}", model="oxen")
        await at.said(DOWN)
        refused.remove()
        await asyncio.sleep(2.5)  # a turn of the housekeeping: nothing is sent before the probe
        waiting = len(at.created())
        await at.imagine("a hare", model="oxen", by=at.ben)
        await asyncio.sleep(0.5)
        assert len(at.created()) == waiting
        at.clock.move(seconds=10)
        await at.result("a hare")
        await at.settled(3)

    assert "oxen is up again" in caplog.text


async def test_the_outage_is_reported_to_every_member_by_turns(at: Stage) -> None:
    """The many waiting jobs of one member do not hide the job of another."""
    held = at.oxen.faults.add("POST", QUEUE, Answer(503, OWN_503.body, held=True), times=4)
    at.oxen.faults.add("GET", MODELS, OWN_503, times=None)
    async with at.easel():
        for _ in range(3):
            await asyncio.gather(*(at.imagine(f"fox {n}", model="oxen") for n in range(25)))
        hare = await at.imagine("a hare", model="oxen", by=at.ben)
        await held.reached(hits=4)
        held.release()
        await at.said(DOWN)
        assert hare.message is not None
        async with asyncio.timeout(20):
            while DOWN not in hare.message.text():
                await asyncio.sleep(0.02)
        assert len(statuses(at)) <= 2 * BATCH


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
