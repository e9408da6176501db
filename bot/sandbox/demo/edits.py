"""The steps that edit pictures, and those in a private reply or a direct message."""

import asyncio
from typing import Any, Final

from bot.sandbox.demo.checks import check_result, request
from bot.sandbox.demo.stage import Stage, Step, brief, expect, reply_of, unmarked
from bot.sandbox.discord import Message, Upload
from bot.sandbox.drawing.draw import draw

WIDE: Final = (960, 480)
TALL: Final = (480, 640)
NIGHT: Final = "make it a winter night with falling snow"
JOIN: Final = "put the cat into the first picture, at dawn"
INK: Final = "as an ink drawing"
SECRET: Final = "a surprise cake for Ben"
MOON: Final = "a moon over mountains"


async def photo(name: str, prompt: str, size: tuple[int, int]) -> Upload:
    """Draw a picture for a member to attach."""
    data = await asyncio.to_thread(draw, prompt, 1, *size, format="jpeg")
    return Upload(name, data)


def sent_to_skills(stage: Stage, prompt: str) -> list[str]:
    """Return the addresses of the input pictures in the order of the request."""
    bodies = [one.body for one in stage.skills.generations.values()]
    [urls] = [body["image_urls"] for body in bodies if body["prompt"] == prompt]
    return [str(url) for url in urls] if isinstance(urls, list) else []


def is_of(url: str, upload: Upload) -> bool:
    return url.partition("?")[0].endswith(f"/{upload.filename}")


async def edit_at_oxen(stage: Stage) -> None:
    harbour = await photo("harbour.jpg", "boats in a harbour at noon", WIDE)
    options: dict[str, Any] = {"image": harbour, "match_input_image": True, "model": "oxen"}
    status = await request(stage, stage.ada, "edit", prompt=NIGHT, **options)
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, NIGHT, ratio=2, count=1)
    [generation] = stage.generations(NIGHT)
    address = str(generation.body.get("input_image"))
    expect(is_of(address, harbour), "the attachment's address at Oxen.ai", address)
    stage.transcript.saw("Oxen.ai fetched harbour.jpg as the input picture")


async def edit_at_skills(stage: Stage) -> None:
    cat = await photo("cat.jpg", "a cat", TALL)
    room = await photo("room.jpg", "a room with a window", WIDE)
    options: dict[str, Any] = {"image": room, "image2": cat, "image_size": "landscape_4_3"}
    status = await request(stage, stage.ada, "edit", prompt=JOIN, **options)
    expect("skills.video" in status.text(), "the service that accepts two pictures", status.text())
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, JOIN, ratio=4 / 3, count=1)
    urls = sent_to_skills(stage, JOIN)
    right = [is_of(url, each) for url, each in zip(urls, (room, cat), strict=True)]
    expect(all(right), "both pictures in the given order", urls)
    stage.transcript.saw("skills.video fetched room.jpg and cat.jpg, in this order")


async def edit_by_menu(stage: Stage) -> None:
    flowers = await photo("flowers.jpg", "flowers in a vase", TALL)
    stage.transcript.did("Ada", "look what I painted [flowers.jpg]")
    said = await stage.discord.say(stage.ada, stage.channel, "look what I painted", [flowers])
    stage.transcript.did("Ben", "Apps → Edit image, on Ada's message")
    refused = await stage.discord.menu(stage.ben, stage.channel, "Edit image", said)
    await refused.answered()
    message = reply_of(refused)
    expect("many artists do not want that" in message.text(), "a refusal", message.text())
    stage.transcript.saw(f"only Ben sees: {brief(message.text())}")
    stage.transcript.did("Ada", "Apps → Edit image, on her own message")
    opened = await stage.discord.menu(stage.ada, stage.channel, "Edit image", said)
    await opened.answered()
    expect(opened.modal is not None, "a modal", opened.response)
    fields = (opened.modal or {})["components"]
    stage.transcript.saw(
        f"a modal opens with the fields: {', '.join(str(each['label']) for each in fields)}"
    )
    stage.transcript.did("Ada", INK)
    values = {str(fields[0]["component"]["custom_id"]): INK}
    sent = await (await stage.discord.submit_modal(stage.ada, opened, values)).answered()
    expect(sent.message is not None, "a status message", sent.response)
    result = await stage.result_after(said, stage.ada)
    await check_result(stage, result, stage.ada, INK, ratio=16 / 9, count=1)
    address = str(stage.generations(INK)[0].body.get("input_image"))
    expect(is_of(address, flowers), "the picture of Ada's message", address)


async def in_private(stage: Stage) -> None:
    status = await request(stage, stage.ada, "imagine", alone=True, prompt=SECRET, private=True)
    await stage.until(status, lambda it: bool(it.pictures()), "no picture in the private reply")
    await check_result(stage, status, stage.ada, SECRET, ratio=16 / 9, count=1, pings=False)
    seen = stage.discord.channel_messages(stage.channel, stage.ben)
    leaked = [message.text() for message in seen if SECRET in unmarked(message.text())]
    expect(not leaked, "a prompt that Ben cannot see", leaked)
    stage.transcript.saw("Ben sees no message with this prompt")


async def in_direct_messages(stage: Stage) -> None:
    status = await request(stage, stage.ada, "imagine", where=stage.direct, prompt=MOON)

    def fits(message: Message) -> bool:
        return message.id > status.id and bool(message.pictures())

    result = await stage.discord.wait_for_message(fits, channel=stage.direct)
    await check_result(stage, result, stage.ada, MOON, ratio=16 / 9, count=1)


EDITS: Final = (
    Step("/edit at Oxen.ai, with the aspect ratio of the input picture", edit_at_oxen),
    Step("/edit with two pictures, at skills.video", edit_at_skills),
    Step("The message menu Edit image", edit_by_menu),
    Step("A private job", in_private),
    Step("A job in direct messages", in_direct_messages),
)
