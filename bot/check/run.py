"""All checks side by side, in the order in which they are told."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from pathlib import Path

import aiohttp
from rich.console import Console

from bot.check.discord import check_discord
from bot.check.machine import check_database, check_disk
from bot.check.report import Line, as_json, exit_code, show, wrong
from bot.check.services import check_service, providers_of
from bot.check.settings import read_settings
from bot.check.trial import try_service
from bot.settings import Settings

log = logging.getLogger(__name__)


async def run_check(*, json: bool, trial: bool) -> int:
    """Check everything, print what was found, and return the exit code."""
    read = await asyncio.to_thread(read_settings)
    lines = [*read.lines, *await check_all(read.settings, trial=trial)]
    console = Console(highlight=False)
    if json:
        console.out(as_json(lines), highlight=False)
    else:
        show(lines, console)
    return exit_code(lines)


async def check_all(settings: Settings, *, trial: bool) -> list[Line]:
    """One check that breaks stops no other."""
    async with aiohttp.ClientSession() as session:
        providers = providers_of(settings, session).values()
        parts: list[tuple[str, Awaitable[Sequence[Line]]]] = [
            ("database", check_database(settings)),
            ("disk", check_disk(settings)),
            ("Discord", check_discord(settings, session)),
            *((each.key, check_service(each, settings)) for each in providers),
        ]
        found = [line for part in await _together(parts) for line in part]
        if trial:
            tries = [try_service(each, settings, Path()) for each in providers]
            found += await asyncio.gather(*tries)
    return found


async def _together(
    parts: Sequence[tuple[str, Awaitable[Sequence[Line]]]],
) -> list[Sequence[Line]]:
    return await asyncio.gather(*(_guarded(about, part) for about, part in parts))


async def _guarded(about: str, part: Awaitable[Sequence[Line]]) -> Sequence[Line]:
    try:
        return await part
    except Exception as error:
        log.debug("the check of %s broke", about, exc_info=True)
        # Its text stays out: who knows what a library puts into it.
        remedy = "Tell Easel's authors what you did."
        return [wrong(about, f"the check itself broke: {type(error).__name__}", remedy)]
