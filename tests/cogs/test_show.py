"""/show: pictures are uploaded by two members at once, and a reduced copy is made once."""

import asyncio

import pytest
from sqlalchemy import update

from bot.sandbox.discord import Message, User
from bot.sandbox.http.faults import HoldBefore, Rule
from bot.store.tables import jobs
from cogs.delivery import uploads
from tests.support.easel import Stage, text_of

FOLLOW_UP = r"/api/v10/webhooks/\d+/[^/]+"
OWN = "Another job of yours is being shown"
OTHERS = "The pictures of other jobs are being shown"


async def shown(at: Stage, user: User, number: int = 1) -> list[Message]:
    """Wait for private messages with pictures to a member."""
    found: list[Message] = []
    async with asyncio.timeout(20):
        while len(found) < number:
            await asyncio.sleep(0.02)
            everything = at.discord.world.messages.values()
            found = [each for each in everything if each.ephemeral_to is user and each.pictures()]
    return found


async def drawn(at: Stage, user: User) -> str:
    await at.imagine(f"a fox of {user.name}", by=user)
    await at.result(f"a fox of {user.name}")
    async with asyncio.timeout(20):
        while not (await at.jobs(user))[0].delivered_at:
            await asyncio.sleep(0.02)
    return (await at.jobs(user))[0].id


def held_uploads(at: Stage) -> Rule:
    return at.discord.faults.add("POST", FOLLOW_UP, HoldBefore(), times=None)


async def test_a_member_is_shown_one_job_at_a_time(at: Stage) -> None:
    async with at.easel():
        job = await drawn(at, at.ada)
        held = held_uploads(at)
        await at.discord.command(at.ada, at.channel, "show", {"job": job})
        await held.reached()
        refused = await asyncio.gather(*(at.command("show", job=job) for _ in range(39)))
        assert held.hits == 1
        held.remove()
        held.release()
        await shown(at, at.ada)
        await at.discord.command(at.ada, at.channel, "show", {"job": job})
        await shown(at, at.ada, 2)

    assert all(OWN in text_of(each) for each in refused)


async def test_two_members_are_shown_pictures_at_once_and_no_more(at: Stage) -> None:
    cai = at.discord.add_user("Cai")
    async with at.easel():
        for user in (at.ada, at.ben, cai):
            await drawn(at, user)
        held = held_uploads(at)
        for number, user in enumerate((at.ada, at.ben), start=1):
            (job,) = await at.jobs(user)
            await at.discord.command(user, at.channel, "show", {"job": job.id})
            await held.reached(hits=number)
        (job,) = await at.jobs(cai)
        refused = await at.command("show", by=cai, job=job.id)
        unknown = await at.command("show", by=cai, job="aaaaaaaaaaaaaaaa")
        held.remove()
        held.release()
        await shown(at, at.ada)
        await shown(at, at.ben)
        await at.discord.command(cai, at.channel, "show", {"job": job.id})
        await shown(at, cai)

    assert OTHERS in text_of(refused)
    assert OTHERS in text_of(unknown)


async def test_a_picture_over_the_limit_is_shrunk_once(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.easel() as app:
        job = await drawn(at, at.ada)
        (original,) = first = await app.services.pictures.files()
        monkeypatch.setattr(uploads, "UPLOAD_BYTES", original.size - 1)
        for number in (1, 2):
            await at.discord.command(at.ada, at.channel, "show", {"job": job})
            messages = await shown(at, at.ada, number)
            copies = await app.services.pictures.files()
            assert len(copies) == 2
            first = copies if number == 1 else first
        assert first == copies  # neither written nor touched again
        await app.services.retention.sweep()
        assert len(await app.services.pictures.files()) == 2
        at.clock.move(days=400)
        await app.services.retention.sweep()
        assert await app.services.pictures.files() == []

    assert all("Shrunk to fit the upload limit here" in each.text() for each in messages)
    assert all(each.pictures()[0].partition("?")[0].endswith(".jpg") for each in messages)


async def test_others_are_shown_a_public_result_in_its_channel_alone(at: Stage) -> None:
    """One sentence for everything else, which says nothing about the job."""
    elsewhere = at.discord.add_channel(at.server, "elsewhere")
    async with at.easel() as app:
        job = await drawn(at, at.ada)
        await at.discord.command(at.ben, at.channel, "show", {"job": job.upper()})
        (message,) = await shown(at, at.ben)
        refused = [
            await at.command("show", by=at.ben, where=elsewhere, job=job),
            await at.command("show", by=at.ben, job="aaaaaaaaaaaaaaaa"),
        ]
        async with app.services.database.transaction() as tx:
            await tx.execute(update(jobs).values(hidden_at=at.clock()))
        refused.append(await at.command("show", by=at.ben, job=job))
        await at.discord.command(at.ada, elsewhere, "show", {"job": job})
        (own,) = await shown(at, at.ada)

    assert f"by <@{at.ada.id}>" in message.text()
    labels = [each["label"] for each in message.buttons()]
    assert labels == ["Again", "Remix", "Edit", "More"]
    assert f"by <@{at.ada.id}>" not in own.text()
    assert {text_of(each) for each in refused} == {
        "This result is private, was deleted, or is unknown here. Request a picture with /imagine."
    }
