"""The step of a member who deletes all data, with the result that was posted."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.sandbox.demo.checks import request
from bot.sandbox.demo.results import press
from bot.sandbox.demo.stage import WAIT_SECONDS, Stage, Step, brief, expect, reply_of
from bot.sandbox.discord import Message, User

OWL: Final = "an owl that nobody shall remember"


async def delete_data(stage: Stage) -> None:
    cleo = stage.discord.add_user("Cleo")
    result = await stage.result_after(await request(stage, cleo, "imagine", prompt=OWL), cleo)
    question = reply_of(await stage.use(cleo, "mydata delete"))
    expect(question.ephemeral_to is cleo, "a question for Cleo alone", "a public message")
    stage.transcript.saw(brief(question.text()))
    await press(stage, cleo, question, "Delete my data and results")
    stage.transcript.saw(brief(question.text()))
    await stage.until(result, lambda it: it.deleted, "the result was not deleted")
    stage.transcript.saw("the result is deleted")
    await _deleted(stage, cleo, question)
    stage.transcript.saw(brief(question.text()))
    found = await asyncio.to_thread(rows_of, stage.folder / "data" / "easel.db", cleo.id)
    expect(not found, "no row that names Cleo", found)
    stage.transcript.saw("no row names Cleo any more")


async def _deleted(stage: Stage, user: User, message: Message) -> None:
    """Press Refresh until the deletion has ended."""
    async with asyncio.timeout(WAIT_SECONDS):
        while "is deleted" not in message.text():
            await asyncio.sleep(0.2)
            await press(stage, user, message, "Refresh")


def rows_of(path: Path, user_id: int) -> list[str]:
    """Return the tables that still have a row of this member, or of the prompt."""
    queries = {
        "jobs": "SELECT 1 FROM jobs WHERE user_id = :member OR prompt = :prompt",
        "ledger": "SELECT 1 FROM ledger WHERE user_id = :member",
        "erasures": "SELECT 1 FROM erasures WHERE user_id = :member",
    }
    named = {"member": user_id, "prompt": OWL}
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5)) as database:
        return [
            table for table, query in queries.items() if database.execute(query, named).fetchone()
        ]


LEAVING: Final = (Step("A member deletes all data, with the posted result", delete_data),)
