"""`easel sandbox`: run the real bot from end to end without any account."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from bot.sandbox.demo.folder import FolderRefused, prepare
from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.demo.stage import Stage, Step, Unmet, brief
from bot.sandbox.demo.steps import STEPS
from bot.sandbox.demo.transcript import Transcript
from bot.sandbox.discord import FakeDiscord, MemberError
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.page.render import write_page
from bot.sandbox.page.shown import shown_channel
from bot.sandbox.skills.server import FakeSkills

# In the form of a bot's token, valid for the stand-in only.
TOKEN: Final = "c2FuZGJveC1lYXNlbA.Sandbx.no-account-needs-this-token-0"
KEY: Final = "sandbox-oxen-key"
SKILLS_KEY: Final = "skills-sandbox-key"
GENERATION_SECONDS: Final = 0.8
WHOLE_SECONDS: Final = 180.0  # a slow or busy machine
LOG_LINES: Final = 20  # of the bot's log, shown when a step fails


class BotEnded(Exception):
    """The bot's process ended before the step was finished."""


async def run_demo(
    folder: Path, *, steps: Sequence[Step] = STEPS, stream: TextIO | None = None
) -> int:
    """Run the steps and print each result.

    Return the exit code: 0 for success, 1 if a step failed, 2 if the folder cannot be used. Leave
    `index.html`, `pictures/`, `data/easel.db` and `easel.log` in the folder.
    """
    transcript = Transcript(stream or sys.stdout)
    try:
        await asyncio.to_thread(prepare, folder)
    except (FolderRefused, OSError) as refused:
        transcript.say(f"easel: {refused}")
        return 2
    transcript.say(
        "The real bot runs. Stand-ins on this computer replace Discord, Oxen.ai and skills.video."
    )
    _end_with_us()
    discord = FakeDiscord(token=TOKEN)
    async with (
        discord,
        FakeOxen(key=KEY, generation_seconds=GENERATION_SECONDS) as oxen,
        FakeSkills(key=SKILLS_KEY, generation_seconds=GENERATION_SECONDS) as skills,
    ):
        async with run_bot(folder, settings(discord, oxen, skills)) as bot:
            stage = Stage(discord, oxen, skills, transcript, bot, folder)
            succeeded = await _perform(stage, steps)
        await asyncio.to_thread(_leave_page, stage)
    _report_results(transcript, folder)
    return 0 if succeeded else 1


def settings(discord: FakeDiscord, oxen: FakeOxen, skills: FakeSkills) -> dict[str, str]:
    """Return the bot's environment: addresses of the stand-ins, and keys valid only there."""
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": oxen.url,
        "SKILLS_API_KEY": SKILLS_KEY,
        "SKILLS_API_URL": skills.url,
        "PRIVATE_HOSTS": f"{oxen.cdn_host},{skills.cdn_host}",
        "DATABASE_URL": "sqlite:///data/easel.db",
    }


async def _perform(stage: Stage, steps: Sequence[Step]) -> bool:
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            for step in steps:
                stage.transcript.head(step.title)
                if not await _perform_one(stage, step):
                    return False
    except TimeoutError:
        stage.transcript.missed(f"all steps done within {WHOLE_SECONDS:.0f} s", "timeout")
        return False
    return True


async def _perform_one(stage: Stage, step: Step) -> bool:
    """Run one step, and return whether it succeeded. On failure, print the reason and the log."""
    try:
        async with asyncio.timeout(step.seconds):
            await _unless_it_ends(stage.bot, step, stage)
    except Unmet as unmet:
        stage.transcript.missed(unmet.expected, brief(unmet.seen))
    except TimeoutError as timeout:
        stage.transcript.missed(
            f"the step done within {step.seconds:g} s", str(timeout) or "timeout"
        )
    except BotEnded as ended:
        stage.transcript.missed("a running bot", str(ended))
    except MemberError as refused:
        stage.transcript.missed("an action that Discord allows", str(refused))
    except Exception as error:  # print the log and clean up after any error
        stage.transcript.missed("no error", f"{type(error).__name__}: {error}")
    else:
        return True
    stage.transcript.say(f"\nLast lines of {stage.folder / 'easel.log'}:")
    for line in stage.bot.last_lines(LOG_LINES):
        stage.transcript.say(f"  {line}")
    return False


async def _unless_it_ends(bot: BotProcess, step: Step, stage: Stage) -> None:
    """Run the step until the bot ends. A step that waits for that end is finished first."""
    acting = asyncio.ensure_future(step.run(stage))
    ending = asyncio.ensure_future(bot.ended())
    try:
        await asyncio.wait({acting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            await asyncio.wait({acting}, timeout=0.2)
        if not acting.done():
            raise BotEnded(f"the bot ended with exit code {ending.result()}")
        acting.result()
    finally:
        acting.cancel()
        ending.cancel()
        await asyncio.wait({acting, ending})


def _leave_page(stage: Stage) -> None:
    channels = [
        shown_channel(stage.discord, channel, stage.ada)
        for channel in (stage.channel, stage.direct)
    ]
    here = datetime.now().astimezone().tzinfo or UTC
    write_page(stage.folder / "index.html", channels, viewer=stage.ada, zone=here)


def _report_results(transcript: Transcript, folder: Path) -> None:
    pictures = len(list((folder / "pictures").glob("*")))
    transcript.say(f"\nFinished after {transcript.seconds:.1f} s. Files in {folder.resolve()}:")
    transcript.say(
        "  index.html     the channel and the direct messages as Ada sees them. Open in a browser:"
    )
    transcript.say(f"                 {(folder.resolve() / 'index.html').as_uri()}")
    transcript.say(f"  pictures/      the {pictures} posted pictures, tables and exports")
    transcript.say("  data/easel.db  the bot's database")
    transcript.say("  easel.log      the bot's log")


def _end_with_us() -> None:
    """Cancel this task on SIGTERM, so that the bot's process is killed as well."""
    task = asyncio.current_task()
    if task is not None:
        # unsupported on Windows and outside the main thread
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
