"""Run all checks concurrently, and report them in a fixed order."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bot.check.discord import check_discord
from bot.check.key import check_key
from bot.check.machine import check_database, check_disk
from bot.check.network import check_network
from bot.check.pages import check_pages
from bot.check.pictures import check_pictures
from bot.check.providers import check_provider
from bot.check.report import Line, as_json, exit_code, show, wrong
from bot.check.settings import check_settings
from bot.config import Config
from bot.http_client import open_session
from bot.providers import PROVIDERS
from bot.providers.base import AnyEntry, Http

log = logging.getLogger(__name__)


async def run_check(
    *, json: bool, trial: bool, register: bool = False, entries: Sequence[AnyEntry] = PROVIDERS
) -> int:
    """Check everything, print the findings, and return the exit code."""
    checked = await asyncio.to_thread(check_settings, entries)
    lines = [*checked.lines, *await check_all(checked.config, trial=trial, register=register)]
    if json:
        sys.stdout.write(as_json(lines) + "\n")
    else:
        from rich.console import Console  # only where used: JSON does without

        show(lines, Console(highlight=False))
    return exit_code(lines)


async def check_all(config: Config, *, trial: bool, register: bool) -> list[Line]:
    """Check everything outside the settings. A check that crashes does not stop the others."""
    async with open_session() as session:
        http = Http(session, _Unobserved(), config.core.proxies)
        parts: list[tuple[str, Awaitable[Sequence[Line]]]] = [
            ("network", check_network(config)),
            ("database", check_database(config.core)),
            ("pseudonyms", check_key(config.core)),
            ("disk", check_disk(config.core)),
            ("pictures", check_pictures(config.core)),
            ("pages", check_pages(config.core, session)),
            ("Discord", check_discord(config.core, session, register=register)),
            *((each.key, check_provider(each, http)) for each in config.configured),
        ]
        found = [line for part in await _together(parts) for line in part]
        if trial:
            from bot.check.trial import try_provider  # only where used: it imports SQLAlchemy

            trials = [try_provider(each, config, http, Path()) for each in config.configured]
            found += await asyncio.gather(*trials)
    return found


class _Unobserved:
    """An observer of requests that ignores them."""

    @contextmanager
    def asking(self, provider: str, method: str) -> Iterator[None]:
        yield


async def _together(
    parts: Sequence[tuple[str, Awaitable[Sequence[Line]]]],
) -> list[Sequence[Line]]:
    return await asyncio.gather(*(_guarded(about, part) for about, part in parts))


async def _guarded(about: str, part: Awaitable[Sequence[Line]]) -> Sequence[Line]:
    try:
        return await part
    except Exception as error:
        log.debug("the check of %s crashed", about, exc_info=True)
        # Without the error's text, which a library may have put a secret into.
        remedy = "Report to Easel's authors how to repeat this."
        return [wrong(about, f"the check itself crashed: {type(error).__name__}", remedy)]
