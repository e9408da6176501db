import asyncio

import pytest

from bot.jobs import JobStatus, Picture, PictureKind
from bot.sandbox.http.faults import Answer, Hold, HoldBefore
from tests.support.easel import Stage, text_of

PICTURE = Picture("a" * 64, PictureKind.PNG, 99_000_000, 9, 9)


async def cancel_button(at: Stage) -> str:
    message = await at.discord.wait_for_message(lambda message: bool(message.buttons()))
    return str(message.buttons()[0]["custom_id"])


async def test_a_running_job_is_stopped_at_oxen_and_costs_nothing(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        status = await at.said("Drawing")
        pressed = await at.discord.click(at.ada, status, await cancel_button(at))
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert [each.status for each in at.oxen.generations.values()] == ["cancelled"]
    assert await at.balance() == 0
    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert asked.message.buttons() == []


async def test_a_queued_job_is_canceled_at_once(at: Stage) -> None:
    at.oxen.faults.add("POST", "/api/ai/queue", Answer(429), times=None)
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        pressed = await at.discord.click(at.ada, asked.message, await cancel_button(at))
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
    assert "Canceled" in asked.message.text()
    assert await at.balance() == 0


async def test_a_button_whose_answer_is_slow_does_not_undo_what_is_shown(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        status = await at.said("Drawing")
        held = at.discord.faults.add("POST", r"/api/v10/interactions/.*/callback", HoldBefore())
        await at.discord.click(at.ada, status, await cancel_button(at))
        await held.reached()
        (job,) = await at.settled()
        held.release()
        await at.command("jobs")  # answered after it

    assert job.status is JobStatus.CANCELED
    assert asked.message is not None
    assert "Canceled" in asked.message.text()
    assert asked.message.buttons() == []


@pytest.mark.long
async def test_the_status_says_that_it_is_being_canceled(at: Stage) -> None:
    at.oxen.manual = True
    held = at.oxen.faults.add("DELETE", ".*", Hold())
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        (job,) = await at.jobs()
        await at.command("cancel", job=job.id)
        async with asyncio.timeout(20):
            while "Canceling" not in status.text():
                await asyncio.sleep(0.02)
        assert status.buttons() == []
        held.release()
        await at.settled()

    assert "Canceled" in status.text()


@pytest.mark.long
async def test_a_cancel_after_the_last_edit_of_the_status_is_shown_by_the_press(at: Stage) -> None:
    """The token of the command is of no use any more; that of the press is."""
    at.oxen.manual = True
    held = at.oxen.faults.add("DELETE", ".*", Hold())
    async with at.easel(job_timeout=3600):
        asked = await at.imagine("a fox", private=True)
        status = asked.message
        assert status is not None
        await at.oxen.created()
        at.clock.move(minutes=14, seconds=5)
        await at.said("longer than this message can be edited")
        at.clock.move(minutes=2)
        await at.discord.click(at.ada, status, await cancel_button(at))
        await held.reached()
        async with asyncio.timeout(20):
            while "Canceling" not in status.text():
                await asyncio.sleep(0.02)
        held.release()


@pytest.mark.long
async def test_only_its_member_can_cancel_a_job(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        pressed = await at.discord.click(at.ben, status, await cancel_button(at))

        assert text_of(await pressed.answered()) == (
            "Only the member who requested this job, and the moderators of its channel, can cancel "
            "this job."
        )
        assert [each.status for each in at.oxen.generations.values()] == ["queued"]


@pytest.mark.long
async def test_a_job_that_has_ended_cannot_be_canceled(at: Stage) -> None:
    at.discord.response_seconds = 30  # what is said matters here, and not when
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        button = await cancel_button(at)
        rule = at.discord.faults.add("DELETE", r".*", Answer(500), times=None)
        await at.finish()
        await at.result("a fox")
        pressed = await at.discord.click(at.ada, status, button)

        assert "has already ended as succeeded" in text_of(await pressed.answered())
        rule.remove()


@pytest.mark.long
async def test_buttons_work_after_a_restart(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        status = await at.said("Drawing")
        button = await cancel_button(at)

    async with at.easel():
        pressed = await at.discord.click(at.ada, status, button)
        await pressed.answered()
        (job,) = await at.settled()

    assert job.status is JobStatus.CANCELED
