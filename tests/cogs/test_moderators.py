"""*Cancel* for moderators: for public jobs of their channel, and nobody else's."""

import asyncio
from typing import Any

import pytest

from bot.app import App
from bot.jobs import Job, JobStatus
from bot.sandbox.discord import Channel, Message
from bot.sandbox.http.faults import Answer, Hold
from cogs.ui.status import status_view
from tests.support.easel import Stage, gateway_of, text_of

pytestmark = pytest.mark.long

MANAGE_MESSAGES = 1 << 13
OTHERS = (
    "Only the member who requested this job, and the moderators of its channel, can cancel "
    "this job."
)
NO_JOB = "You have no job with this id. See /jobs for yours."


@pytest.fixture
def moderated(at: Stage) -> Stage:
    """Ben moderates; Ada's pictures take until a test finishes them."""
    at.discord.set_permissions(at.server, at.ben, MANAGE_MESSAGES)
    at.oxen.manual = True
    return at


async def drawing(at: Stage, **options: Any) -> Message:  # noqa: ANN401
    asked = await at.imagine("a fox", **options)
    assert asked.message is not None
    await at.said("Drawing")
    return asked.message


async def press(at: Stage, status: Message, custom_id: str = "") -> str:
    """Let Ben press *Cancel*; return the text of the private answer, if there is one."""
    custom_id = custom_id or str(status.buttons()[0]["custom_id"])
    pressed = await (await at.discord.click(at.ben, status, custom_id)).answered()
    return text_of(pressed) if pressed.message not in (None, status) else ""


async def copied(app: App, job: Job, where: Channel) -> None:
    """Post the status message of a job in another channel, with its button."""
    client = gateway_of(app).client
    assert client is not None
    view = status_view(job, app.services.catalog.about("oxen"))
    await client.get_partial_messageable(where.id).send(view=view)


async def test_a_moderator_stops_a_running_job_and_the_requester_pays_nothing(
    moderated: Stage,
) -> None:
    at = moderated
    async with at.easel():
        status = await drawing(at)
        assert await press(at, status) == ""
        (job,) = await at.settled()

    assert (job.status, job.canceled_by) == (JobStatus.CANCELED, at.ben.id)
    assert "Canceled by a moderator." in status.text()
    assert f"<@{at.ada.id}> Nothing was charged" in status.text()
    assert status.buttons() == []
    assert [each.status for each in at.oxen.generations.values()] == ["cancelled"]
    assert await at.balance() == await at.balance(at.ben) == 0


async def test_a_moderator_stops_a_queued_job_and_show_says_so(moderated: Stage) -> None:
    at = moderated
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(429), times=None)
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        await press(at, asked.message)
        (job,) = await at.settled()
        shown = await at.command("show", job=job.id)
        async with asyncio.timeout(20):
            while "A moderator canceled this job" not in _last(at):
                await asyncio.sleep(0.02)

    assert shown is not None
    assert job.canceled_by == at.ben.id
    assert "Canceled by a moderator." in asked.message.text()


def _last(at: Stage) -> str:
    messages = [each for each in at.discord.world.messages.values() if each.ephemeral_to is at.ada]
    return messages[-1].text() if messages else ""


async def test_the_button_works_for_a_moderator_after_a_restart(moderated: Stage) -> None:
    at = moderated
    async with at.easel():
        status = await drawing(at)
    async with at.easel():
        await press(at, status)
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert "Canceled by a moderator." in status.text()


async def test_a_kill_between_the_press_and_the_end_forgets_no_moderator(
    moderated: Stage,
) -> None:
    at = moderated
    held = at.oxen.faults.add("DELETE", ".*", Hold())
    async with at.easel():
        status = await drawing(at)
        await press(at, status)
        await held.reached()
    held.remove()
    async with at.easel():
        (job,) = await at.settled()

    assert job.canceled_by == at.ben.id
    assert "Canceled by a moderator." in status.text()


async def test_the_first_of_two_who_press_at_once_is_the_one_who_canceled(
    moderated: Stage,
) -> None:
    at = moderated
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(429), times=None)
    async with at.easel():
        asked = await at.imagine("a fox")
        status = asked.message
        assert status is not None
        custom_id = str(status.buttons()[0]["custom_id"])
        first = await at.discord.click(at.ada, status, custom_id)
        second = await at.discord.click(at.ben, status, custom_id)
        await asyncio.gather(first.answered(), second.answered())
        (job,) = await at.settled()

    refused = [each for each in (first, second) if each.message not in (None, status)]
    assert [text_of(each) for each in refused] == [
        "This job has already ended as canceled. There is nothing to cancel."
    ]
    assert job.canceled_by == (at.ben.id if refused[0].user is at.ada else None)
    assert await at.balance() == 0


async def test_a_requester_who_moderates_is_no_moderator_of_an_own_job(at: Stage) -> None:
    at.discord.set_permissions(at.server, at.ada, MANAGE_MESSAGES)
    at.oxen.manual = True
    async with at.easel():
        status = await drawing(at)
        button = str(status.buttons()[0]["custom_id"])
        await (await at.discord.click(at.ada, status, button)).answered()
        (job,) = await at.settled()

    assert job.canceled_by is None
    assert "Canceled.** Nothing was charged: 7.5 credits are released." in status.text()


async def test_a_moderator_of_another_channel_stops_nothing(moderated: Stage) -> None:
    """The server of the other channel is another one, where Ben moderates too."""
    at = moderated
    other = at.discord.add_guild("Another")
    elsewhere = at.discord.add_channel(other, "sketches")
    at.discord.set_permissions(other, at.ben, MANAGE_MESSAGES)
    async with at.easel() as app:
        await drawing(at)
        (job,) = await at.jobs()
        await copied(app, job, elsewhere)
        (forged,) = at.discord.channel_messages(elsewhere)
        assert await press(at, forged) == OTHERS

    assert (await at.jobs())[0].status is JobStatus.RUNNING


async def test_a_private_job_has_no_moderator(moderated: Stage) -> None:
    at = moderated
    async with at.easel() as app:
        await drawing(at, private=True)
        (job,) = await at.jobs()
        await copied(app, job, at.channel)
        (forged,) = at.discord.channel_messages(at.channel)
        assert await press(at, forged) == NO_JOB

    assert (await at.jobs())[0].cancel_requested_at is None


async def test_a_blocked_moderator_stops_nothing(moderated: Stage) -> None:
    at = moderated
    async with at.easel(blocked_users=[at.ben.id]):
        status = await drawing(at)
        assert "blocked" in await press(at, status)

    assert (await at.jobs())[0].cancel_requested_at is None


async def test_the_command_stays_the_requesters_own(moderated: Stage) -> None:
    at = moderated
    async with at.easel():
        await drawing(at)
        (job,) = await at.jobs()
        assert text_of(await at.command("cancel", by=at.ben, job=job.id)) == NO_JOB

    assert (await at.jobs())[0].cancel_requested_at is None


async def test_a_moderator_reads_that_a_service_cannot_cancel(moderated: Stage) -> None:
    at = moderated
    at.skills.hold_generations()
    async with at.easel():
        status = await drawing(at, model="skills")
        assert "cannot cancel a running job" in await press(at, status)
        at.skills.release_generations()
        await at.settled()


async def test_a_moderator_stops_a_job_of_a_member_who_installed_the_bot(
    moderated: Stage,
) -> None:
    """The status message of such a job is public in the channel."""
    at = moderated
    at.settings = {"user_install": True}
    async with at.easel():
        asked = await at.command("imagine", prompt="a fox", user_install_only=True)
        await at.said("Drawing")
        assert asked.message is not None
        await press(at, asked.message)
        (job,) = await at.settled()

    assert job.canceled_by == at.ben.id
    assert "Canceled by a moderator." in asked.message.text()
