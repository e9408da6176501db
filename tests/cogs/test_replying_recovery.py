"""Jobs that a message made: the status message found or withdrawn, and addresses read again."""

import asyncio
import signal
from datetime import timedelta

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.demo.process import run_bot
from bot.sandbox.discord import Message, Upload
from bot.sandbox.http.faults import Answer, AnswerAfter, Fault, Hold, Reset, ResetAfter
from bot.worker import inputs
from tests.support.delivery import posts_to, until
from tests.support.easel import KEY, TOKEN, Stage
from tests.support.files import picture
from tests.support.replying import edited, result, say

pytestmark = pytest.mark.long

CAT = Upload("cat.png", picture())


def statuses(at: Stage, said: Message) -> list[Message]:
    return [each for each in at.discord.world.messages.values() if each.reference is said]


@pytest.mark.parametrize(
    "fault", [AnswerAfter(503, {}), AnswerAfter(500, {}), ResetAfter(), AnswerAfter(200, b"<html>")]
)
async def test_a_status_message_in_doubt_is_found_and_not_doubled(at: Stage, fault: Fault) -> None:
    async with at.easel():
        source = await result(at)
        met = at.discord.faults.add("POST", posts_to(at.channel), fault)
        said = await say(at, source, "add snow")
        await met.reached()
        await at.discord.wait_for_message(lambda each: each.reference is said)
        at.clock.move(seconds=16)  # the grace has passed
        job, shown = await edited(at, "add snow")

    (status,) = statuses(at, said)
    assert status.nonce == f"{job.id}-status"
    assert status.id == job.route.status_message_id
    assert status.deleted
    assert shown.reference is source


@pytest.mark.parametrize("fault", [Reset(), Answer(503, {})])
async def test_a_status_message_that_never_came_withdraws_the_job(at: Stage, fault: Fault) -> None:
    async with at.easel():
        source = await result(at)
        before = await at.balance()
        met = at.discord.faults.add("POST", posts_to(at.channel), fault)
        said = await say(at, source, "add snow")
        await met.reached()
        await until(at, lambda job: job.request.prompt == "add snow")
        await asyncio.sleep(0.3)  # the bot has noted that the outcome is unknown
        at.clock.move(seconds=16)
        job = await until(at, lambda job: job.delivered_at)

    assert (job.status, job.request.prompt) == (JobStatus.CANCELED, "add snow")
    assert statuses(at, said) == []
    assert await at.balance() == before
    assert len(at.created()) == 1


async def test_a_refused_status_message_withdraws_the_job_at_once(at: Stage) -> None:
    refused = Answer(403, {"code": 50013, "message": "Missing Permissions"})
    async with at.easel():
        source = await result(at)
        before = await at.balance()
        at.discord.faults.add("POST", posts_to(at.channel), refused)
        await say(at, source, "add snow")
        job = await until(at, lambda job: job.delivered_at and job.request.prompt == "add snow")

    assert job.status is JobStatus.CANCELED
    assert await at.balance() == before


@pytest.mark.parametrize(
    ("fault", "arrives"), [(Answer(503, {}, held=True), False), (Hold(), True)]
)
async def test_a_restart_between_the_hold_and_the_status_message(
    at: Stage, fault: Fault, arrives: bool
) -> None:
    async with at.easel():
        source = await result(at)
        before = await at.balance()
        met = at.discord.faults.add("POST", posts_to(at.channel), fault)
        said = await say(at, source, "add snow")
        await met.reached()
        await until(at, lambda job: job.request.prompt == "add snow")
    met.remove()
    at.clock.move(seconds=16)
    async with at.easel():
        job = await until(at, lambda job: job.delivered_at)

    assert job.status is (JobStatus.SUCCEEDED if arrives else JobStatus.CANCELED)
    assert len(statuses(at, said)) == arrives
    assert (await at.balance() < before) is arrives


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "arrives"), [(Answer(503, {}, held=True), False), (Hold(), True)]
)
async def test_a_kill_between_the_hold_and_the_status_message(
    at: Stage, fault: Fault, arrives: bool
) -> None:
    async with at.easel():
        source = await result(at)
        before = await at.balance()
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "DATABASE_URL": f"sqlite:///{at.path}",
    }
    async with run_bot(at.folder, settings) as bot:
        await at.discord.connected(60)
        met = at.discord.faults.add("POST", posts_to(at.channel), fault)
        said = await say(at, source, "add snow")
        await met.reached()
        bot.send(signal.SIGKILL)
        await bot.ended()
    met.remove()
    at.clock.move(seconds=16)  # the grace has passed
    async with at.easel():
        job = await until(at, lambda job: job.delivered_at and job.request.prompt == "add snow")

    assert job.status is (JobStatus.SUCCEEDED if arrives else JobStatus.CANCELED)
    assert len(statuses(at, said)) == arrives
    assert (await at.balance() < before) is arrives


async def test_addresses_that_end_soon_are_read_again(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "ADDRESS_MARGIN", timedelta(hours=25))
    async with at.easel():
        await at.imagine("a fox", model="skills")
        source = await at.result("a fox")
        await at.settled()
        said = await say(at, source, "add snow", [CAT])
        job, _ = await edited(at, "add snow")

    read = [each.path for each in at.discord.requests if each.method == "GET"]
    for message in (source, said):
        assert f"{posts_to(at.channel)}/{message.id}" in read
    assert job.status is JobStatus.SUCCEEDED
    assert [each.copied for each in job.inputs] == [True, True]


async def test_a_picture_that_was_deleted_in_the_meantime_fails_the_job(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "ADDRESS_MARGIN", timedelta(hours=25))
    async with at.easel():
        await at.imagine("a fox", model="skills")
        source = await at.result("a fox")
        await at.settled()
        paid = await at.balance()
        gone = Answer(404, {"code": 10008, "message": "Unknown Message"})
        at.discord.faults.add("GET", rf"{posts_to(at.channel)}/\d+", gone, times=None)
        await say(at, source, "add snow", [CAT])
        job, shown = await edited(at, "add snow")

    assert (job.status, job.reason) == (JobStatus.FAILED, Reason.INPUT)
    assert "Attach the picture again" in shown.text()
    assert await at.balance() == paid
