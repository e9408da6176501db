"""The step of a manager, who grants credits, sets an allowance and looks at the report."""

from typing import Final

from bot.sandbox.demo.finding import page_of
from bot.sandbox.demo.stage import Stage, Step, brief, expect, reply_of


async def manage_credits(stage: Stage) -> None:
    given = await stage.use(stage.ada, "credits grant", member=stage.ben, amount="50")
    _check(stage, reply_of(given).text(), "got 50 credits")
    limit = await stage.use(stage.ada, "credits allowance", amount="500", period="week")
    _check(stage, reply_of(limit).text(), "now 500 credits a week")
    message = await page_of(stage, reply_of(await stage.use(stage.ada, "credits report")))
    expect(message.ephemeral_to is stage.ada, "a report for Ada alone", "a public message")
    names = sorted(file.filename.rpartition(".")[2] for file in message.files)
    expect(names == ["csv", "png"], "a chart and a table", names)
    _check(stage, message.text(), "granted 50 credits")


def _check(stage: Stage, text: str, wanted: str) -> None:
    seen = text.replace("*", "")
    expect(wanted in seen, wanted, seen)
    stage.transcript.saw(f"only Ada sees: {brief(text)}")


CREDITS: Final = (
    Step("A manager grants credits, sets an allowance and reads the report", manage_credits),
)
