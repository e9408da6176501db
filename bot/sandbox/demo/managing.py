"""The step of a manager: a setting of the server, and the list of changes."""

from typing import Final

from bot.sandbox.demo.results import press
from bot.sandbox.demo.stage import Stage, Step, brief, expect, reply_of
from bot.sandbox.discord import Message
from bot.sandbox.discord.components import SELECTS, walk

ZONE: Final = "Europe/Berlin"


async def settings_and_audit(stage: Stage) -> None:
    page = reply_of(await stage.use(stage.ada, "server settings"))
    expect(page.ephemeral_to is stage.ada, "a page for Ada alone", "a public message")
    await _turn(stage, page, "budget")
    for typed, expected in (("Europe/Berlln", "is not a time zone"), (ZONE, f"zone: {ZONE}")):
        opened = await press(stage, stage.ada, page, "Change")
        expect(opened.modal is not None, "a form", opened.response)
        stage.transcript.did("Ada", f"zone: {typed}")
        sent = await stage.discord.submit_modal(stage.ada, opened, {"zone": typed})
        shown = reply_of(await sent.answered()).text().replace("*", "")
        expect(expected in shown, expected, shown)
        stage.transcript.saw(f"only Ada sees: {brief(shown)}")
    listed = await stage.reply_text(stage.ada, "server audit")
    expect(f"UTC → {ZONE}" in listed, "the change, with the value before and after", listed)
    stage.transcript.saw(f"only Ada sees: {brief(listed)}")


async def _turn(stage: Stage, page: Message, subject: str) -> None:
    """Show another subject of the settings."""
    selects = [each["custom_id"] for each in walk(page.components) if each["type"] in SELECTS]
    stage.transcript.did("Ada", f"shows the page: {subject}")
    used = await stage.discord.select(stage.ada, page, selects[-1], [subject])
    await used.answered()


MANAGING: Final = (
    Step("/server settings and /server audit: a time zone, and who changed it", settings_and_audit),
)
