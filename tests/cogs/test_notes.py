"""Short answers to messages: one at a time for a member, bounded, and deleted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import discord
import pytest

from bot import rights
from bot.errors import UserError
from bot.quotas import NotEnoughCredits, OthersPicture, Sum, TooManyJobsHere
from bot.sandbox.discord import Message
from bot.sandbox.discord.messages import SILENT
from bot.sandbox.http.faults import Answer
from bot.studio.results import ResultUnavailable
from cogs import _notes
from cogs._notes import Notes, Refused
from cogs.ui.wording import Replying
from tests.support.discord_objects import message_of
from tests.support.ground import Ground, ground, notes_waiting

POSTS = r"/api/v10/channels/\d+/messages"


class Noting(Ground):
    """Notes in answer to messages of Ada and others."""

    notes: Notes

    async def said(self, member: int = 5) -> discord.Message:
        """Return a message of a member in the channel."""
        said = await self.fake.say(self.ada, self.channel, "add snow")
        author = {"id": str(member), "username": "x", "discriminator": "0", "avatar": None}
        data = {"id": str(said.id), "channel_id": str(self.channel.id), "author": author}
        message = message_of(self.client, data)
        message.channel = self.client.get_partial_messageable(self.channel.id)
        return message

    def shown(self) -> list[Message]:
        return [
            each for each in self.fake.world.messages.values() if each.author is self.fake.bot_user
        ]

    async def posted(self, count: int) -> list[Message]:
        async with asyncio.timeout(20):
            while len(self.shown()) < count:
                await asyncio.sleep(0.005)
        return self.shown()


async def all_deleted() -> None:
    async with asyncio.timeout(20):
        while notes_waiting():
            await asyncio.sleep(0.005)


@pytest.fixture
async def on() -> AsyncIterator[Noting]:
    async with ground() as made:
        noting = Noting(made.fake, made.client)
        noting.notes = Notes(made.client, noting.now)
        yield noting
        await noting.notes.close()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotEnoughCredits(1, 1, Sum(5, 0, None)), Replying.NO_CREDITS),
        (TooManyJobsHere(2), Replying.TOO_MANY_JOBS),
        (rights.RoleNotAllowed([1]), Replying.NEUTRAL),
        (ResultUnavailable(), Replying.NEUTRAL),
        (OthersPicture(), Replying.NEUTRAL),
        (Refused("Say it."), "Say it."),
        (UserError("There is no {name}.", name="x"), "There is no x."),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_note_names_no_rule(on: Noting, error: UserError, text: str) -> None:
    said = await on.said()
    await on.notes.refuse(said, error)
    (note,) = await on.posted(1)

    assert note.text() == text
    assert note.reference is not None
    assert note.reference.id == said.id
    assert note.flags & SILENT
    assert note.pings == []


async def test_a_member_gets_one_note_in_15_seconds(on: Noting) -> None:
    assert _notes.NOTE_SECONDS == 15
    begin = on.now()
    on.notes = Notes(on.client, lambda: begin + on.moved)
    for seconds in (0, 14.9, 14.99, 15, 29.9, 30):
        on.moved = timedelta(seconds=seconds)
        await on.notes.send(await on.said(5), f"after {seconds}")
    await on.notes.send(await on.said(6), "to another")

    texts = {each.text() for each in await on.posted(4)}
    assert texts == {"after 0", "after 15", "after 30", "to another"}


async def test_an_empty_note_is_none_and_does_not_count(on: Noting) -> None:
    said = await on.said()
    await on.notes.send(said, "")
    await on.notes.send(said, "text")

    assert [each.text() for each in await on.posted(1)] == ["text"]


async def test_the_notes_that_wait_are_bounded(on: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_notes, "MOST_NOTES", 2)
    for member in (1, 2, 3):
        await on.notes.send(await on.said(member), f"to {member}")
    assert notes_waiting() == 2
    await on.notes.close()

    assert {each.text() for each in on.shown()} <= {"to 1", "to 2"}


async def test_the_members_that_are_remembered_are_bounded(
    on: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_notes, "REMEMBERED", 2)
    for member in (1, 2, 1, 3, 2):
        await on.notes.send(await on.said(member), f"to {member}")

    # 2 was asked for longest ago when 3 came, and is forgotten
    assert sorted(each.text() for each in await on.posted(4)) == ["to 1", "to 2", "to 2", "to 3"]


async def test_a_note_is_deleted_after_its_time_and_at_the_end(
    on: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_notes, "NOTE_SECONDS", 0.05)
    await on.notes.send(await on.said(1), "short")
    (short,) = await on.posted(1)
    await all_deleted()
    assert short.deleted

    monkeypatch.setattr(_notes, "NOTE_SECONDS", 15.0)
    await on.notes.send(await on.said(2), "long")
    _, long = await on.posted(2)
    await on.notes.close()
    assert long.deleted
    await on.notes.send(await on.said(3), "too late")
    assert notes_waiting() == 0


async def test_a_note_that_discord_refuses_is_no_error(
    on: Noting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", _notes.__name__)
    on.fake.faults.add("POST", POSTS, Answer(403, {"code": 50013, "message": "no"}))
    await on.notes.send(await on.said(), "text")
    await all_deleted()

    (line,) = caplog.messages
    assert line.startswith("note not sent or not deleted: 403")
    assert on.shown() == []
