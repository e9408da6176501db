"""The steps through the private menu behind the button *More* of a result."""

import asyncio
from typing import Final

from bot.sandbox.demo.results import AUTUMN, HOUSE, SEA, newest_result, press
from bot.sandbox.demo.stage import WAIT_SECONDS, Stage, Step, brief, expect, reply_of
from bot.sandbox.discord import Message, User
from bot.sandbox.discord.components import walk

STORED_SECONDS: Final = 1.0  # the machine may be busy


async def open_menu(stage: Stage, user: User, result: Message) -> Message:
    menu = reply_of(await press(stage, user, result, "More"))
    expect(menu.ephemeral_to is user, f"a menu that only {user.name} sees", "a public message")
    labels = [str(each["label"]) for each in menu.buttons()]
    stage.transcript.saw(f"only {user.name} sees the menu: {', '.join(labels)}")
    return menu


async def recipe_and_favourite(stage: Stage) -> None:
    result = await newest_result(stage, HOUSE)
    menu = await open_menu(stage, stage.ben, result)
    labels = [str(each["label"]) for each in menu.buttons()]
    await press(stage, stage.ben, menu, "Recipe")
    expect(f"/imagine prompt:{HOUSE}" in menu.text(), "the command to copy", menu.text())
    stage.transcript.saw(brief(menu.text()))
    await press(stage, stage.ben, menu, "Menu")
    await press(stage, stage.ben, menu, "Favourite")
    now = [str(each["label"]) for each in menu.buttons()]
    expect("Remove favourite" in now and "Favourite" in labels, "a favourite", now)
    opened = await press(stage, stage.ben, menu, "Originals")
    await stage.until(reply_of(opened), lambda it: bool(it.pictures()), "no originals")
    stage.transcript.saw(f"only Ben sees: {brief(reply_of(opened).text())}")


async def spoiler(stage: Stage) -> None:
    result = await newest_result(stage, AUTUMN)
    before = len(result.pictures())
    menu = await open_menu(stage, stage.ada, result)
    await press(stage, stage.ada, menu, "Spoiler")
    await stage.until(result, lambda it: all(_spoilers(it)), "the pictures were not hidden")
    expect(len(result.pictures()) == before, "the same pictures", result.pictures())
    stage.transcript.saw("the pictures of the result are hidden until a click")


async def lineage_and_thread(stage: Stage) -> None:
    result = await newest_result(stage, AUTUMN)
    menu = await open_menu(stage, stage.ada, result)
    await press(stage, stage.ada, menu, "Lineage")
    expect("Made from" in menu.text(), "what the picture was made from", menu.text())
    stage.transcript.saw(brief(menu.text()))
    await press(stage, stage.ada, menu, "Back")
    expect(HOUSE in menu.text() and AUTUMN not in menu.text(), "the first picture", menu.text())
    stage.transcript.saw(f"Back leads to: {brief(menu.text())}")
    menu = await open_menu(stage, stage.ada, result)
    await press(stage, stage.ada, menu, "Continue in a thread")
    await stage.until(menu, lambda it: "The thread is open" in it.text(), "no thread was opened")
    if result.thread is None:
        raise AssertionError("no thread at the result")
    start = await stage.discord.wait_for_message(
        lambda it: bool(it.buttons()), WAIT_SECONDS, result.thread
    )
    stage.transcript.saw(f"in the thread: {brief(start.text())}")
    status = reply_of(await press(stage, stage.ada, start, "Again"))
    made = await stage.discord.wait_for_message(
        lambda it: bool(it.pictures()), WAIT_SECONDS, result.thread
    )
    stage.transcript.saw(f"in the thread: {brief(made.text())}")
    await stage.until(status, lambda it: it.deleted, "the status message was not deleted")
    menu = await open_menu(stage, stage.ada, made)
    await ask_to_delete(stage, menu)
    await press(stage, stage.ada, menu, "Delete for everybody")
    await stage.until(made, lambda it: it.deleted, "the result was not deleted")
    stage.transcript.saw("the result in the thread is deleted")


async def drawn_prompt(stage: Stage) -> None:
    result = await newest_result(stage, SEA)
    menu = await open_menu(stage, stage.ben, result)
    opened = await press(stage, stage.ben, menu, "Remix expanded prompt")
    fields = (opened.modal or {"components": []})["components"]
    expect(fields, "a form", opened.response)
    prompt = str(fields[0]["component"].get("value"))
    longer = prompt.startswith(SEA) and len(prompt) > len(SEA)
    expect(longer, "the longer prompt that skills.video has drawn", prompt)
    stage.transcript.saw(f"the form has the longer prompt: {brief(prompt)}")


async def ask_to_delete(stage: Stage, menu: Message) -> None:
    """Press *Delete*; again if the bot has not stored yet that the result is posted."""
    pressed = await press(stage, stage.ada, menu, "Delete")
    if reply_of(pressed) is not menu:
        stage.transcript.saw(brief(reply_of(pressed).text()))
        await asyncio.sleep(STORED_SECONDS)
        await press(stage, stage.ada, menu, "Delete")
    expect("Delete for everybody" in str(menu.buttons()), "a question", menu.text())
    stage.transcript.saw(brief(menu.text()))


def _spoilers(message: Message) -> list[bool]:
    return [
        bool(item["spoiler"]) for each in walk(message.components) for item in each.get("items", ())
    ]


MENUS: Final = (
    Step("The button More: recipe, originals and favourite", recipe_and_favourite),
    Step("The button More: the prompt that the service has drawn", drawn_prompt),
    Step("The button More: a spoiler", spoiler),
    Step("The button More: lineage, a thread, and a deletion", lineage_and_thread, seconds=15),
)
