"""The steps of the demonstration: actions of members, and the expected results.

A step prints each result, and raises Unmet if an expectation fails.
"""

import asyncio
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bot.sandbox.demo.checks import check_result, request
from bot.sandbox.demo.credits import CREDITS
from bot.sandbox.demo.edits import EDITS
from bot.sandbox.demo.finding import FINDING, MARKET, SLOW
from bot.sandbox.demo.leaving import LEAVING
from bot.sandbox.demo.managing import MANAGING
from bot.sandbox.demo.menus import MENUS
from bot.sandbox.demo.own_data import OWN_DATA
from bot.sandbox.demo.replies import REPLIES, SNOW
from bot.sandbox.demo.results import HOUSE, RESULTS, SEA
from bot.sandbox.demo.stage import (
    CREDITS_PER_USD,
    Stage,
    Step,
    brief,
    expect,
    plain,
    reply_of,
    unmarked,
)
from bot.sandbox.discord import Channel, Message, User

COMMANDS: Final = {
    *("imagine", "edit", "Edit image", "jobs", "cancel"),
    *("history", "show", "usage", "models", "help", "my", "server", "credits", "Recipe"),
    *("privacy", "mydata"),
}
LIGHTHOUSE: Final = "a lighthouse on a cliff above a stormy sea at sunset, oil painting"
FOX: Final = "a robot fox waving @everyone good night in a **snowy** forest <@1>"
CASTLE: Final = "a castle in the clouds, seen from below"
START_SECONDS: Final = 58.0  # a slow machine needs some for the imports
STOP_SECONDS: Final = 10.0
USED: Final = re.compile(r"Used: \*\*([\d.,]+) credits\*\*")


async def log_in(stage: Stage) -> None:
    await stage.discord.connected(START_SECONDS)
    stage.transcript.saw(f"the bot has logged in and sees the server “{stage.server.name}”")
    await stage.discord.commands_registered()
    names = {str(command["name"]) for command in stage.discord.commands}
    expect(names >= COMMANDS, f"the commands {sorted(COMMANDS)}", sorted(names))
    stage.transcript.saw(f"commands: {', '.join(sorted(names))}")


async def complete_options(stage: Stage) -> None:
    for typed, wanted in (({"model": ""}, "oxen"), ({"aspect_ratio": "16"}, "16:9")):
        [(option, text)] = typed.items()
        stage.transcript.did("Ada", f"/imagine prompt:{LIGHTHOUSE[:12]}… {option}:{text}▏")
        given = {"prompt": LIGHTHOUSE, **typed}
        choices = await stage.discord.complete(
            stage.ada, stage.channel, "imagine", given, focused=option
        )
        values = [str(choice["value"]) for choice in choices]
        expect(wanted in values, f"{wanted} among the choices of {option}", values)
        stage.transcript.saw(f"{option}: {', '.join(str(choice['name']) for choice in choices)}")


async def two_pictures(stage: Stage) -> None:
    options: dict[str, Any] = {"count": 2, "aspect_ratio": "3:2", "negative_prompt": "people, text"}
    with stage.oxen_slow():  # else the job may end before the status says Drawing
        status = await request(
            stage, stage.ada, "imagine", prompt=LIGHTHOUSE, expand_prompt=False, **options
        )
        await stage.until(
            status, lambda it: "Drawing" in it.text(), "the status never said Drawing"
        )
    stage.transcript.saw(f"then: {brief(status.text())}")
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, LIGHTHOUSE, ratio=3 / 2, count=2)
    await stage.until(status, lambda it: it.deleted, "the status message was not deleted")
    stage.transcript.saw("the status message is deleted")
    given = {
        "num_generations": options.pop("count"),
        "enable_prompt_expansion": False,
        **options,
    }
    for generation in stage.generations(LIGHTHOUSE):
        sent = {name: generation.body.get(name) for name in given}
        expect(sent == given, f"{given} sent to Oxen.ai", sent)


async def another_member(stage: Stage) -> None:
    status = await request(
        stage, stage.ben, "imagine", prompt=FOX, aspect_ratio="9:16", seed=7, model="oxen"
    )
    result = await stage.result_after(status, stage.ben)
    await check_result(stage, result, stage.ben, FOX, ratio=9 / 16, count=1)
    expect("seed 7" in result.text(), "the seed in the last line", result.text())
    expect(not result.pings_everyone, "a prompt that pings nobody", "a ping for everyone")
    expect(FOX in unmarked(result.text()), "the prompt as typed", result.text())
    stage.transcript.saw("@everyone and Markdown in the prompt are plain text")


async def skills_video(stage: Stage) -> None:
    for option, model, count in (("aspect_ratio", "skills", 7), ("aspect_ratio", "oxen", 9)):
        stage.transcript.did("Ben", f"/imagine prompt:{SEA[:12]}… model:{model} {option}:▏")
        given = {"prompt": SEA, "model": model, option: ""}
        choices = await stage.discord.complete(
            stage.ben, stage.channel, "imagine", given, focused=option
        )
        expect(len(choices) == count, f"{count} choices", [choice["value"] for choice in choices])
        stage.transcript.saw(f"{option}: {', '.join(str(choice['value']) for choice in choices)}")
    options: dict[str, Any] = {"image_size": "portrait_4_3", "output_format": "webp", "count": 2}
    status = await request(stage, stage.ben, "imagine", prompt=SEA, model="skills", **options)
    result = await stage.result_after(status, stage.ben)
    await check_result(stage, result, stage.ben, SEA, ratio=3 / 4, count=2)
    charged = stage.charged_by_skills(SEA)
    stage.transcript.saw(f"skills.video charged {plain(charged)} credits")


async def cancel_by_button(stage: Stage) -> None:
    before = stage.charged()
    with stage.oxen_slow():
        status = await request(stage, stage.ada, "imagine", prompt=CASTLE)
        await stage.until(
            status, lambda it: "Drawing" in it.text(), "the status never said Drawing"
        )
        button = next(str(it["custom_id"]) for it in status.buttons() if it["label"] == "Cancel")
        stage.transcript.did("Ada", "[Cancel]")
        await (await stage.discord.click(stage.ada, status, button)).answered()
        await stage.until(status, lambda it: "Canceled" in it.text(), "the job was not canceled")
    stage.transcript.saw(brief(status.text()))
    expect(not status.buttons(), "no button on a canceled job", status.buttons())
    [generation] = stage.generations(CASTLE)
    expect(
        generation.status == "cancelled", "the generation canceled at Oxen.ai", generation.status
    )
    expect(stage.charged() == before, "no charge for the canceled job", stage.charged() - before)


async def other_commands(stage: Stage) -> None:
    # Of the house, each of the two has requested one picture.
    bens = stage.charged(FOX) + stage.charged(HOUSE) / 2 + stage.charged(SNOW)
    bens += stage.charged(MARKET) + stage.charged(SLOW) + stage.charged_by_skills(SEA)
    charges = {
        stage.ada: stage.charged() + stage.charged_by_skills() - bens,
        stage.ben: bens,
    }
    for user, charged in charges.items():
        # Direct messages show the use in all servers.
        text = (await usage(stage, user, stage.discord.dm_channel(user))).text()
        used = USED.search(text)
        right = used is not None and Decimal(used[1].replace(",", "")) == charged
        wanted = f"{plain(charged)} credits used, equal to the charges of the services"
        expect(right, wanted, text)
        stage.transcript.saw(wanted)
    shown = await usage(stage, stage.ada, stage.channel)
    expect(len(shown.pictures()) == 1, "a chart of the last days", shown.text())
    stage.transcript.saw(f"only Ada sees, with a chart: {brief(shown.text())}")
    for command, wanted in (("jobs", "Canceled"), ("models", "aspect_ratio"), ("help", "/imagine")):
        text = await stage.reply_text(stage.ada, command)
        expect(wanted in text, f"{wanted} in the reply", text)
        stage.transcript.saw(brief(text))


async def usage(stage: Stage, user: User, where: Channel) -> Message:
    """Return the whole reply to /usage, which follows a deferral."""
    message = reply_of(await stage.use(user, "usage", where=where))
    expect(message.ephemeral_to is user, f"a reply for {user.name} only", "a public message")
    await stage.until(message, lambda it: bool(it.text()), "the credits were not shown")
    return message


async def refusal(stage: Stage) -> None:
    before = len(stage.oxen.generations)
    interaction = await stage.use(stage.ada, "imagine", prompt="a pear", aspect_ratio="7:5")
    message = reply_of(interaction)
    expect(message.ephemeral_to is stage.ada, "a refusal that only Ada sees", "a public message")
    expect("16:9" in message.text(), "the list of allowed ratios", message.text())
    stage.transcript.saw(f"only Ada sees: {brief(message.text())}")
    refused = await stage.use(
        stage.ada, "imagine", prompt="a pear", model="oxen", image_size="square"
    )
    message = reply_of(refused)
    expect("skills" in message.text(), "the model that has this option", message.text())
    expect(len(stage.oxen.generations) == before, "no request to Oxen.ai", "a generation")
    stage.transcript.saw(f"only Ada sees: {brief(message.text())}")


async def ledger(stage: Stage) -> None:
    total, lines, open_holds = await asyncio.to_thread(
        read_ledger, stage.folder / "data" / "easel.db"
    )
    charged = stage.charged() + stage.charged_by_skills()
    balance = Decimal(total) / 1000
    expect(balance == -charged, f"a ledger that adds up to -{plain(charged)} credits", balance)
    expect(open_holds == 0, "no open hold", f"{open_holds} open holds")
    dollars = plain(stage.charged() / CREDITS_PER_USD)
    credits = plain(stage.charged_by_skills())
    stage.transcript.saw(
        f"{lines} entries add up to {plain(balance)} credits: the {dollars} dollars that Oxen.ai "
        f"charged and the {credits} credits of skills.video; no hold is open"
    )


async def nothing_wrong(stage: Stage) -> None:
    for name, stand_in in (
        ("Discord", stage.discord),
        ("Oxen.ai", stage.oxen),
        ("skills.video", stage.skills),
    ):
        expect(not stand_in.violations, f"no violation at {name}", stand_in.violations)
    stage.transcript.saw(
        f"{len(stage.discord.requests)} calls to Discord, {len(stage.oxen.requests)} to Oxen.ai "
        f"and {len(stage.skills.requests)} to skills.video, no violation"
    )


async def stop(stage: Stage) -> None:
    stage.transcript.did("operator", "SIGTERM")
    stage.bot.terminate()
    code = await stage.bot.ended()
    expect(code == 0, "exit code 0", code)
    stage.transcript.saw("the bot stopped with exit code 0")


def read_ledger(path: Path) -> tuple[int, int, int]:
    """Return the sum and the number of all entries but grants, and the number of open holds."""
    open_holds = """
        SELECT count(*) FROM (
            SELECT job_id FROM ledger WHERE kind IN ('hold', 'release')
            GROUP BY job_id HAVING sum(amount) <> 0
        )
    """
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        total, lines = database.execute(
            "SELECT sum(amount), count(*) FROM ledger WHERE kind <> 'grant'"
        ).fetchone()
        (left,) = database.execute(open_holds).fetchone()
    finally:
        database.close()
    return int(total or 0), int(lines), int(left)


STEPS: Final = (
    Step("The bot starts, logs in and registers its commands", log_in, seconds=60),
    Step("Autocompletion of options", complete_options),
    Step("/imagine with two pictures", two_pictures),
    Step(
        "Another member, another aspect ratio, and a prompt with mentions and Markdown",
        another_member,
    ),
    Step("/imagine at skills.video: the choices depend on the model", skills_video),
    Step("The Cancel button", cancel_by_button),
    *EDITS,
    *RESULTS,
    *REPLIES,
    *MENUS,
    *FINDING,
    *MANAGING,
    Step("/usage, /jobs, /models, /help", other_commands, seconds=20),
    *CREDITS,
    *LEAVING,
    *OWN_DATA,
    Step("A value or an option that a model does not have is refused in private", refusal),
    Step("The ledger in the database adds up", ledger),
    Step("No request broke a rule of Discord or of the services", nothing_wrong),
    Step("The bot stops on SIGTERM", stop, seconds=STOP_SECONDS),
)
