"""Again and Remix with input pictures that are results of other members."""

import pytest

from bot.sandbox.discord import Message
from bot.store import jobs
from tests.support.acting import press, submit
from tests.support.easel import Stage, text_of
from tests.support.menus import drawn
from tests.support.replying import edited

pytestmark = pytest.mark.long

REFUSED = "Pictures of other members are not edited here"


async def with_hat(at: Stage, result: Message) -> Message:
    """Return the result of Ben's edit."""
    opened = await press(at, result, "Edit", by=at.ben)
    await submit(at, opened, {"The change to make": "add a hat"}, by=at.ben)
    _, shown = await edited(at, "add a hat", by=at.ben)
    return shown


@pytest.mark.parametrize("hidden", [False, True])
async def test_a_repetition_of_an_edit_is_repeated_while_the_picture_is_seen(
    at: Stage, hidden: bool
) -> None:
    async with at.easel():
        hat = await with_hat(at, await drawn(at))
        (source,) = await at.jobs()
        await press(at, hat, "Again")
        await at.settled(2)
        newest, _ = await at.jobs()
        again = at.discord.world.messages[newest.result_message_id or 0]
        async with at.database() as database, database.transaction() as tx:
            if hidden:
                await jobs.hide(tx, source.id, at.clock())
        pressed = await press(at, again, "Again", by=at.ben)
        assert pressed.message is not None
        assert (REFUSED in pressed.message.text()) is hidden


@pytest.mark.parametrize("label", ["Again", "Remix"])
async def test_an_own_edit_does_not_repeat_a_result_that_its_requester_has_deleted(
    at: Stage, label: str
) -> None:
    async with at.easel():
        hat = await with_hat(at, await drawn(at))
        (source,) = await at.jobs()
        async with at.database() as database, database.transaction() as tx:
            await jobs.hide(tx, source.id, at.clock())
        pressed = await press(at, hat, label, by=at.ben)
        if label == "Remix":
            pressed = await submit(at, pressed, {}, by=at.ben)
        assert text_of(pressed).startswith(REFUSED)
