"""The steps that wait, find old results again, and choose how results arrive."""

from typing import Final

from bot.sandbox.demo.checks import check_result, request
from bot.sandbox.demo.pictures import download
from bot.sandbox.demo.results import AUTUMN, ROW, newest_result, press
from bot.sandbox.demo.stage import WAIT_SECONDS, Stage, Step, brief, expect, reply_of
from bot.sandbox.discord import Message, Upload
from bot.sandbox.http.faults import HoldBefore

BRIDGE: Final = "a bridge in the fog"
MARKET: Final = "a market at night"
QUIET: Final = "a quiet pond"
LINKED: Final = "a windmill in spring"
ALONE: Final = "a birthday card"
SLOW: Final = "a very detailed map"
SILENT: Final = 1 << 12  # Discord's flag SUPPRESS_NOTIFICATIONS


async def place_in_the_queue(stage: Stage) -> None:
    """Hold the requests to Oxen.ai, of which four are on their way at once, three of a member."""
    stage.oxen.faults.add("POST", "/api/ai/queue", HoldBefore(), times=None)
    try:
        drawn = [
            await request(stage, user, "imagine", prompt=prompt, model="oxen")
            for user, prompt in ((stage.ada, BRIDGE),) * 3 + ((stage.ben, MARKET),)
        ]
        waiting = await request(stage, stage.ben, "imagine", prompt=MARKET, model="oxen")
        await stage.until(
            waiting, lambda it: "Place 1 " in it.text(), "the status never named a place"
        )
        stage.transcript.saw(f"then: {brief(waiting.text())}")
        await press(stage, stage.ada, waiting, "Cancel")
        await stage.until(
            waiting, lambda it: "by a moderator" in it.text(), "a moderator canceled nothing"
        )
        stage.transcript.saw(f"Ada may manage messages: {brief(waiting.text())}")
    finally:
        stage.oxen.faults.clear()
    for status in drawn:
        await stage.until(status, lambda it: it.deleted, "the status message was not deleted")
    stage.transcript.saw("the other four are drawn")


async def history(stage: Stage) -> None:
    interaction = await stage.use(stage.ada, "history", text="HOUSE")
    message = await page_of(stage, reply_of(interaction))
    expect("autumn" in message.text(), "jobs with this word", message.text())
    expect("fog" not in message.text(), "no other jobs", message.text())
    stage.transcript.saw(f"only Ada sees: {brief(message.text())}")


async def show(stage: Stage) -> None:
    source = await newest_result(stage, AUTUMN)
    job = str(source.buttons()[0]["custom_id"]).rpartition(":")[2]
    message = await page_of(stage, reply_of(await stage.use(stage.ben, "show", job=job)))
    expect(message.ephemeral_to is stage.ben, "a message for Ben alone", "a public message")
    expect(message.pictures(), "the picture of a result by Ada", message.text())
    labels = [str(each["label"]) for each in message.buttons()]
    expect(labels == ROW, "the buttons of a result", labels)
    stage.transcript.saw(f"only Ben sees: {brief(message.text())}")


async def page_of(stage: Stage, message: Message) -> Message:
    await stage.until(message, lambda it: bool(it.text()), "the history was not shown")
    return message


async def recipe(stage: Stage) -> None:
    source = await newest_result(stage, AUTUMN)
    [data] = await download(source)
    stage.transcript.did("Ben", "look what I found [download.png]")
    said = await stage.discord.say(
        stage.ben, stage.channel, "look what I found", [Upload("download.png", data)]
    )
    stage.transcript.did("Ada", "Apps → Recipe, on Ben's message")
    used = await stage.discord.menu(stage.ada, stage.channel, "Recipe", said)
    await used.answered()
    message = await page_of(stage, reply_of(used))
    expect("/imagine prompt:" in message.text(), "the command to copy", message.text())
    stage.transcript.saw(f"recognised by the bytes: {brief(message.text())}")


async def notify(stage: Stage) -> None:
    await stage.use(stage.ada, "my notify", how="silent")
    status = await request(stage, stage.ada, "imagine", prompt=QUIET, model="oxen")
    result = await stage.result_after(status, stage.ada, pings=False)
    expect(result.flags & SILENT, "a message without a notification", result.flags)
    await check_result(stage, result, stage.ada, QUIET, ratio=16 / 9, count=1, pings=False)
    await stage.use(stage.ada, "my notify", how="direct")
    status = await request(stage, stage.ada, "imagine", prompt=LINKED, model="oxen")
    result = await stage.result_after(status, stage.ada, pings=False)
    link = f"/{stage.channel.id}/{result.id}"
    await stage.discord.wait_for_message(
        lambda each: link in each.text() and each.channel is stage.direct, WAIT_SECONDS
    )
    stage.transcript.saw("a direct message links the result")
    await stage.use(stage.ada, "my notify", how="private")
    status = await request(stage, stage.ada, "imagine", alone=True, prompt=ALONE, model="oxen")
    await stage.until(status, lambda it: bool(it.pictures()), "no picture in the private reply")
    await stage.use(stage.ada, "my notify", how="ping")


async def slower_than_usual(stage: Stage) -> None:
    """Hold a picture at Oxen.ai, which has made more than ten by now."""
    with stage.oxen_slow():
        status = await request(stage, stage.ben, "imagine", prompt=SLOW, model="oxen")
        await stage.until(status, lambda it: "usually" in it.text(), "no usual time was shown")
        stage.transcript.saw(f"then: {brief(status.text())}")
        await stage.until(
            status, lambda it: "Slower than usual" in it.text(), "nothing was called slow"
        )
        stage.transcript.saw(f"then: {brief(status.text())}")
    result = await stage.result_after(status, stage.ben)
    await check_result(stage, result, stage.ben, SLOW, ratio=16 / 9, count=1)


FINDING: Final = (
    Step("The place in the queue, and Cancel for a moderator", place_in_the_queue, seconds=30),
    Step("/history finds earlier jobs by a word", history),
    Step("/show: a result of another member with its buttons", show),
    Step("The message menu Recipe on a saved picture", recipe),
    Step("/my notify: silent, by direct message, and private", notify, seconds=30),
    Step("The usual time, and a job that is slower", slower_than_usual, seconds=30),
)
