"""The step in which a member gets everything that the bot has stored about her."""

import asyncio
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any, Final

from bot.sandbox.demo.results import AUTUMN
from bot.sandbox.demo.stage import Stage, Step, brief, expect, reply_of


async def export(stage: Stage) -> None:
    before = len(stage.discord.channel_messages(stage.direct))
    reply = reply_of(await stage.use(stage.ada, "mydata export"))
    expect(reply.ephemeral_to is stage.ada, "a reply for Ada alone", "a public message")
    stage.transcript.saw(f"only Ada sees: {brief(reply.text())}")
    await stage.until(reply, lambda it: "is sent: " in it.text(), "the data was not sent")
    stage.transcript.saw(f"then: {brief(reply.text())}")
    messages = stage.discord.channel_messages(stage.direct)[before:]
    zips = [file.data for message in messages for file in message.files]
    prompts, pictures = await asyncio.to_thread(_contents, zips)
    expect(AUTUMN in prompts, "the requests of Ada", prompts)
    stage.transcript.saw(
        f"by direct message: {len(prompts)} requests and {pictures} pictures, in ZIP files: "
        f"{len(zips)}"
    )


def _contents(zips: Sequence[bytes]) -> tuple[list[str], int]:
    """Return the prompts, and the number of pictures, of ZIP files that are whole."""
    requests: list[dict[str, Any]] = []
    pictures = 0
    for data in zips:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            expect(opened.testzip() is None, "a whole ZIP file", opened.testzip())
            for name in opened.namelist():
                pictures += name.startswith("pictures/")
                if name.startswith("requests") and name.endswith(".jsonl"):
                    requests += map(json.loads, opened.read(name).splitlines())
    return [str(each["prompt"]) for each in requests], pictures


OWN_DATA: Final = (Step("/mydata export: all data of a member, by direct message", export, 30),)
