"""Members take turns everywhere: one member's many jobs do not delay another's picture."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Channel, ChannelKind, Upload
from bot.sandbox.http.faults import Answer, HoldBefore
from bot.store import generations, jobs, queue
from bot.worker import submit
from tests.support.delivery import REPLIES, posts_to
from tests.support.easel import Stage
from tests.support.files import picture
from tests.support.rows import add, new_job

pytestmark = pytest.mark.long

QUEUE = "/api/ai/queue"
REFUSED = Answer(400, {"error": {"message": "Rejected by the content policy"}})


@asynccontextmanager
async def attacked(
    at: Stage, requests: int, *channels: Channel, seconds: float = 5.0
) -> AsyncIterator[Channel]:
    """Run Easel while Ada's many requests are refused; yield a channel of another server.

    Each channel takes 5 messages in `seconds`.
    """
    at.discord.limits.enabled, at.discord.limits.seconds = True, seconds
    elsewhere = at.discord.add_channel(at.discord.add_guild("Another"), "sketches")
    refusals = at.oxen.faults.add("POST", QUEUE, REFUSED, times=None)
    places = channels or (at.channel,)
    async with at.easel():
        for number in range(requests):
            where = places[number % len(places)]
            await at.command("imagine", where=where, prompt=f"fox {number}", model="oxen")
        await refusals.reached(hits=requests)
        refusals.remove()
        yield elsewhere


async def seconds_to_picture(at: Stage, where: Channel) -> float:
    began = time.monotonic()
    await at.command("imagine", by=at.ben, where=where, prompt="a hare", model="oxen")
    await at.discord.wait_for_message(lambda message: bool(message.pictures()), 30, where)
    return time.monotonic() - began


async def test_many_refusals_in_one_channel_do_not_delay_a_picture_in_another_server(
    at: Stage,
) -> None:
    async with attacked(at, 80) as elsewhere:
        waited = await seconds_to_picture(at, elsewhere)

    assert waited < 10.0  # 2 s on a quiet machine; without turns, more than a minute


async def test_deliveries_that_wait_for_rate_limits_leave_their_slots_to_others(
    at: Stage,
) -> None:
    """The member's results wait in more channels than there are slots."""
    names = [f"art {number}" for number in range(10)]
    channels = [at.discord.add_channel(at.server, name.replace(" ", "-")) for name in names]
    async with attacked(at, 80, *channels, seconds=20.0) as elsewhere:
        async with asyncio.timeout(20):
            while not all(_posts(at, channel) >= 5 for channel in channels):
                await asyncio.sleep(0.02)
        waited = await seconds_to_picture(at, elsewhere)

    assert waited < 10.0


async def test_results_that_fall_back_to_a_channel_with_a_rate_limit_leave_their_slots_to_others(
    at: Stage,
) -> None:
    """All wait for the parent of three threads, which take no message and no edit."""
    at.discord.limits.enabled, at.discord.limits.messages, at.discord.limits.seconds = True, 2, 25.0
    thread, guild = ChannelKind.PUBLIC_THREAD, at.server
    threads = [
        at.discord.add_channel(guild, f"foxes-{number}", kind=thread, parent=at.channel)
        for number in range(3)
    ]
    elsewhere = at.discord.add_channel(guild, "sketches")
    refused = Answer(403, {"code": 50001, "message": "Missing Access"})
    at.discord.faults.add("PATCH", REPLIES, refused, times=None)
    at.discord.faults.add("POST", r"/api/v10/webhooks/\d+/[^/]+", refused, times=None)
    rules = [at.discord.faults.add("POST", posts_to(each), refused, times=None) for each in threads]
    async with at.easel():
        for where in [*threads, *threads]:
            await at.command("imagine", where=where, prompt="a fox", model="oxen")
        for rule in rules:
            await rule.reached()
        began = time.monotonic()
        await at.command("imagine", where=elsewhere, prompt="a hare", model="oxen")
        await at.discord.wait_for_message(lambda message: bool(message.pictures()), 40, elsewhere)
        waited = time.monotonic() - began
        assert sum(job.delivered_at is None for job in await at.jobs()) >= 4

    assert waited < 12.0  # the limit's window has 25 seconds


async def test_members_take_turns_in_a_channel_with_a_rate_limit(at: Stage) -> None:
    async with attacked(at, 30):
        waited = await seconds_to_picture(at, at.channel)
        assert sum(job.delivered_at is None for job in await at.jobs()) > 10

    assert waited < 12.0  # the next window of the limit; without turns, 25 s


async def test_a_member_does_not_take_the_last_slot_for_submits(at: Stage) -> None:
    held = at.oxen.faults.add("POST", QUEUE, HoldBefore(), times=None)
    async with at.easel():
        for number in range(6):
            await at.imagine(f"fox {number}", model="oxen")
        await held.reached(hits=3)
        await at.imagine("a hare", model="oxen", by=at.ben)
        await held.reached(hits=4)
        (job,) = await at.jobs(at.ben)
        assert job.status is JobStatus.SUBMITTING
        held.remove()
        await at.settled(6)


async def test_two_results_are_posted_at_once_in_a_channel_while_others_go_on(at: Stage) -> None:
    at.discord.limits.enabled, at.discord.limits.messages = True, 50
    elsewhere = at.discord.add_channel(at.server, "sketches")
    async with at.easel():
        await at.imagine("a hen")
        await at.settled()  # discord.py has learned the limit of the channel
        held = at.discord.faults.add("POST", posts_to(at.channel), HoldBefore(), times=None)
        for number in range(6):
            await at.imagine(f"fox {number}")
        await held.reached(hits=2)
        await at.command("imagine", by=at.ben, where=elsewhere, prompt="a hare")
        await at.result("a hare")
        assert held.hits == 2
        held.remove()
        await at.settled(7)


async def test_discord_need_not_refuse_a_message_to_hold_the_others_back(at: Stage) -> None:
    async with attacked(at, 12):
        found = await at.settled(12)

    assert {job.status for job in found} == {JobStatus.FAILED}
    assert {job.delivery_attempts for job in found} == {1}
    sent = [each for each in at.discord.requests if each.method == "POST"]
    assert [each for each in sent if each.status == 429] == []


def _posts(at: Stage, channel: Channel) -> int:
    path = posts_to(channel)
    return sum(each.method == "POST" and each.path == path for each in at.discord.requests)


async def test_many_running_jobs_of_one_member_do_not_delay_the_polls_of_another(
    at: Stage,
) -> None:
    """At skills.video, which reports no end: 20 polls a second, and each job wants one every 2."""
    processing = Answer(200, {"status": "IN_PROGRESS"})
    await running(at, 500)
    polls = at.skills.faults.add("GET", r"/api/v1/generation/fox.*", processing, times=None)
    async with at.easel(job_timeout=3600):
        await polls.reached(hits=200)
        await at.imagine("a hare", model="skills", by=at.ben)
        began = time.monotonic()
        await at.result("a hare")
        waited = time.monotonic() - began

    assert waited < 10.0  # 2 s on a quiet machine; without turns, 25 s
    assert polls.hits < 400


async def test_stalled_polls_of_one_member_leave_half_of_the_slots_to_others(at: Stage) -> None:
    """Each poll is four requests here."""
    await running(at, 8, generations_each=4)
    path = r"/api/v1/generation/fox.*"
    held = at.skills.faults.add("GET", path, HoldBefore(), times=None)
    async with at.easel(job_timeout=3600):
        await held.reached(hits=4)
        await at.imagine("a hare", model="skills", by=at.ben)
        await at.result("a hare", timeout=15)  # before the first poll gives up
        assert held.hits == 4
        held.remove()


async def running(at: Stage, count: int, *, generations_each: int = 1) -> None:
    """Store jobs of Ada's that are running at skills.video."""
    async with at.database() as database, database.transaction() as tx:
        for number in range(count):
            new = new_job(at.ada.id, at=at.clock())
            request = replace(new.request, model="skills")
            job = await add(tx, replace(new, request=request, provider="skills"))
            await jobs.move(tx, job.id, JobStatus.SUBMITTING, submitted_at=at.clock())
            await jobs.start_running(tx, job.id, at.clock())
            ids = [f"fox{number}{letter}" for letter in "abcd"[:generations_each]]
            await generations.add(tx, job.id, "skills", ids)


async def test_a_member_downloads_the_inputs_of_one_job_at_a_time(at: Stage) -> None:
    held = at.discord.faults.add("GET", ".*/garden.png", HoldBefore(), times=None)
    garden, lake = Upload("garden.png", picture()), Upload("lake.png", picture())
    async with at.easel():
        # Each request reads the head of its picture, and does not wait for long.
        await asyncio.gather(*(at.edit(garden, prompt=f"fox {number}") for number in range(4)))
        await held.reached(hits=4 + 1)
        await at.edit(lake, prompt="a hare", by=at.ben)
        await at.result("a hare")
        assert held.hits == 4 + 1
        held.remove()
        await at.settled(4)


async def test_all_overdue_generations_are_polled_a_few_at_a_time(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "BATCH", 2)
    at.skills.hold_generations()
    async with at.easel(job_timeout=30):
        for number in range(5):
            await at.imagine(f"fox {number}", model="skills")
        await drawn(at)
        at.clock.move(seconds=31)
        await at.settled(5)
        at.skills.release_generations()
        at.clock.move(minutes=6)
        for number in range(5):
            await at.result(f"fox {number}")


async def drawn(at: Stage) -> None:
    """Wait until all of Ada's jobs are running."""
    async with asyncio.timeout(20):
        while {job.status for job in await at.jobs()} != {JobStatus.RUNNING}:
            await asyncio.sleep(0.05)


async def test_a_long_queue_of_one_member_does_not_delay_another(at: Stage) -> None:
    """More than are found one by one: the list of the next ones is read again soon."""
    at.oxen.manual = True
    async with at.easel():
        async with at.database() as database, database.transaction() as tx:
            for number in range(3 * submit.LISTED):
                await add(tx, new_job(at.ada.id, prompt=f"fox {number}", at=at.clock()))
        held = at.oxen.faults.add("POST", QUEUE, HoldBefore(), times=3)
        app_woken = await at.imagine("a badger")
        assert app_woken.message is not None
        await held.reached(hits=3)
        await at.imagine("a hare", by=at.ben)
        held.release()
        async with asyncio.timeout(20):
            while "a hare" not in [each.body["prompt"] for each in at.oxen.generations.values()]:
                await asyncio.sleep(0.02)
        before = [*at.oxen.generations.values()]
        await at.oxen.created(3 * submit.LISTED + 2)

    prompts = [str(each.body["prompt"]) for each in at.oxen.generations.values()]
    assert len(before) < submit.LISTED
    assert len(set(prompts)) == len(prompts) == 3 * submit.LISTED + 2
