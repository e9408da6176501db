"""The steps that edit a result by a reply, which needs no command."""

from typing import Final

from bot.sandbox.demo.checks import check_result
from bot.sandbox.demo.results import BOAT, newest_result
from bot.sandbox.demo.stage import Stage, Step, brief, expect
from bot.sandbox.discord import Message, User

SNOW: Final = "let it snow"
CLOUDS: Final = "add some clouds"
MOON: Final = "add a full moon"
WAIT_SECONDS: Final = 10.0  # the machine may be busy


async def reply(stage: Stage, user: User, source: Message, text: str) -> Message:
    stage.transcript.did(user.name, f"replies: {text.replace(mention(stage), '@Easel')}")
    return await stage.discord.say(user, source.channel, text, reply_to=source)


def mention(stage: Stage) -> str:
    return f"<@{stage.discord.bot_user.id}>"


async def edit_by_replying(stage: Stage) -> None:
    source = await newest_result(stage, BOAT)
    await reply(stage, stage.ben, source, "nice!")
    for user, prompt in ((stage.ben, SNOW), (stage.ada, MOON)):
        said = await reply(stage, user, source, f"{mention(stage)} {prompt}")
        result = await stage.result_after(said, user)
        expect(result.reference is source, "a reply to the source", result.reference)
        await check_result(stage, result, user, prompt, ratio=16 / 9, count=1)
        source = result
    bought = [each for each in stage.generations() if each.body.get("prompt") == "nice!"]
    expect(not bought, "nothing made of a reply without a mention", bought)


async def edit_in_direct_messages(stage: Stage) -> None:
    """Reply without a mention: each reply to a result counts there."""
    seen = stage.discord.channel_messages(stage.direct, stage.ada)
    source = next(each for each in reversed(seen) if each.pictures())
    said = await reply(stage, stage.ada, source, CLOUDS)
    result = await stage.discord.wait_for_message(
        lambda it: it.id > said.id and bool(it.pictures()), WAIT_SECONDS, stage.direct
    )
    await check_result(stage, result, stage.ada, CLOUDS, ratio=16 / 9, count=1)


async def reply_without_instruction(stage: Stage) -> None:
    source = await newest_result(stage, MOON)
    said = await reply(stage, stage.ada, source, mention(stage))
    note = await stage.discord.wait_for_message(
        lambda message: message.reference is said, WAIT_SECONDS, stage.channel
    )
    stage.transcript.saw(f"for 15 s: {brief(note.text())}")


REPLIES: Final = (
    Step("Replies to a result that mention the bot: a chain of changes", edit_by_replying, 20),
    Step("A reply in direct messages, without a mention", edit_in_direct_messages),
    Step("A reply without an instruction", reply_without_instruction),
)
