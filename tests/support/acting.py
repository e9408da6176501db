"""Actions of members on messages and modals, by the words that they read there."""

from collections.abc import Mapping

from bot.sandbox.discord import Interaction, Message, Upload, User
from bot.sandbox.discord.components import SELECTS, walk
from bot.sandbox.discord.request_body import Json
from tests.support.easel import Stage


async def press(at: Stage, message: Message, label: str, *, by: User | None = None) -> Interaction:
    """Press the button with this label, and wait for the response."""
    found = [each["custom_id"] for each in message.buttons() if each.get("label") == label]
    assert len(found) == 1, [each.get("label") for each in message.buttons()]
    pressed = await at.discord.click(by or at.ada, message, found[0])
    return await pressed.answered()


async def choose(at: Stage, message: Message, *labels: str, by: User | None = None) -> Interaction:
    """Choose options by their labels in the only select of a message, and wait for the response."""
    (select,) = [each for each in walk(message.components) if each["type"] in SELECTS]
    values = {option["label"]: option["value"] for option in select["options"]}
    chosen = [values[label] for label in labels]
    used = await at.discord.select(by or at.ada, message, select["custom_id"], chosen)
    return await used.answered()


def fields_of(opened: Interaction) -> dict[str, Json]:
    """Return the fields of an opened modal by their labels."""
    assert opened.modal is not None, opened.response
    found = {}
    for each in opened.modal["components"]:
        if "component" in each:
            found[each["label"]] = each["component"]
    return found


async def submit(
    at: Stage, opened: Interaction, values: Mapping[str, object], *, by: User | None = None
) -> Interaction:
    """Submit a modal, and wait for the response.

    `values` are by the labels of the fields; a field that is not named sends its default.
    """
    fields = fields_of(opened)
    given = {fields[label]["custom_id"]: value for label, value in values.items()}
    sent = await at.discord.submit_modal(by or opened.user, opened, given)
    return await sent.answered()


async def reply(
    at: Stage,
    to: Message,
    text: str,
    *files: Upload,
    by: User | None = None,
    mention: bool = True,
    ping: bool = True,
) -> Message:
    """Reply to a message as a member; with `mention`, the text begins by naming the bot."""
    words = f"{at.discord.bot_user.mention} {text}" if mention else text
    return await at.discord.say(by or at.ada, to.channel, words, files, reply_to=to, ping=ping)


async def menu(at: Stage, name: str, target: Message, *, by: User | None = None) -> Interaction:
    """Use a message menu in the channel of the message, and wait for the response."""
    used = await at.discord.menu(by or at.ada, target.channel, name, target)
    return await used.answered()
