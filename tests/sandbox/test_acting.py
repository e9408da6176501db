"""The actions that tests of several features share, against the bot as it is."""

import io

import pytest
from PIL import Image

from bot.sandbox.discord import Upload
from tests.support.acting import fields_of, menu, press, reply, submit
from tests.support.easel import Stage


def picture() -> Upload:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG")
    return Upload("cat.png", file.getvalue())


async def test_a_button_is_pressed_by_its_label(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        asked = await at.imagine("a fox")
        assert asked.message is not None
        pressed = await press(at, asked.message, "Cancel")
        with pytest.raises(AssertionError):
            await press(at, asked.message, "Again")
        await at.settled()

    assert pressed.response is not None


async def test_a_menu_opens_a_modal_that_is_filled_in_by_labels(at: Stage) -> None:
    async with at.easel():
        said = await at.discord.say(at.ben, at.channel, "look", [picture()])
        opened = await menu(at, "Edit image", said, by=at.ben)
        (label,) = fields_of(opened)
        await submit(at, opened, {label: "as a watercolour"})
        result = await at.result("as a watercolour")
        answered = await reply(at, result, "bluer", by=at.ben)

    assert result.pings == [at.ben.id]
    assert (answered.reference, answered.type) == (result, 19)
    assert at.discord.bot_user in answered.mentions
