"""The menu behind *More*: opened and used by members of the sandbox's Discord."""

import asyncio
from collections.abc import Callable
from typing import Any

from bot.sandbox.discord import Interaction, Message, User
from bot.sandbox.discord.components import BUTTON, walk
from tests.support.acting import press
from tests.support.easel import Stage


async def drawn(at: Stage, prompt: str = "a fox", **options: Any) -> Message:  # noqa: ANN401  # what a member may type
    """Return the public result of one of Ada's requests."""
    await at.imagine(prompt, **options)
    result = await at.result(prompt)
    await at.settled()
    return result


async def menu(at: Stage, result: Message, by: User | None = None) -> Message:
    """Press *More*, and return the menu."""
    user = by or at.ada
    pressed = await press(at, result, "More", by=user)
    if pressed.message is result:  # a deferred update: the menu is a follow-up
        await until(lambda: bool(pressed.followups))
        opened = pressed.followups[0]
    else:
        assert pressed.message is not None
        opened = pressed.message
    assert opened.ephemeral_to is user
    return opened


async def forge(at: Stage, user: User, message: Message, custom_id: str) -> Interaction:
    """Press a button that the message does not have."""
    button = next(each for each in walk(message.tree) if each["type"] == BUTTON)
    own, button["custom_id"] = button["custom_id"], custom_id
    try:
        pressed = await at.discord.click(user, message, custom_id)
        return await pressed.answered()
    finally:
        button["custom_id"] = own


def labels(message: Message) -> list[str]:
    return [str(each["label"]) for each in message.buttons()]


def spoilers(message: Message) -> list[bool]:
    """Return of each picture whether it is hidden until a click."""
    return [item["spoiler"] for each in walk(message.components) for item in each.get("items", ())]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def told(pressed: Interaction) -> str:
    """Return the private message that follows a press, at once or after a deferred update."""
    first = pressed.message
    if first is not None and first is not pressed.source:
        assert first.ephemeral_to is pressed.user
        return first.text()
    await until(lambda: bool(pressed.followups))
    message = pressed.followups[0]
    assert message.ephemeral_to is pressed.user
    return message.text()
