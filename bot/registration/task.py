"""Register the commands beside the gateway: the bot works with those that Discord has meanwhile.

Each attempt compares first (`GET`, which no daily limit counts) and sends only a difference. A note
in the database holds the digest of the last payload, so that the same commands are sent at most
once a day, also when Discord forgets them or stores them in a form that Easel does not expect.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import discord
from discord.http import Route

from bot.backoff import Backoff
from bot.errors import NotNow
from bot.http_headers import parse_retry_after
from bot.registration.commands import payload_of
from bot.registration.compare import Difference, Json, bulk_update, difference
from bot.store.database import Database, read_note, write_note
from cogs.delivery.timeouts import within

log = logging.getLogger(__name__)

NOTE = "registered commands"  # the digest of the last payload, and the time
RETRIES = Backoff(first=timedelta(seconds=2), longest=timedelta(hours=1))
SAME_AGAIN = timedelta(days=1)
DAILY_LIMIT = 30034  # Discord's code: 200 new commands a day
DAILY_LIMIT_SECONDS = 3600.0  # the refusal does not say when the limit ends
REQUEST_SECONDS = 60.0
REMEDIES = {
    DAILY_LIMIT: "Nothing need be done: Discord accepts new commands again within a day",
    50240: "Delete the Entry Point command at the developer portal, under Activities",
    50001: "Open the invite link, so that the application gets the scope applications.commands",
    50035: "Report to Easel's authors",
}
REMEDY = "Nothing need be done, unless this goes on for hours: then run easel check"


class CommandRegistration:
    """The task of one client. `registered` is true once Discord has Easel's commands."""

    def __init__(
        self,
        client: discord.Client,
        tree: discord.app_commands.CommandTree[Any],
        database: Database,
        now: Callable[[], datetime],
        api_url: str,
    ) -> None:
        self.registered = False
        self._client = client
        self._tree = tree
        self._database = database
        self._now = now
        self._api_url = api_url

    async def run(self) -> None:
        """Return as soon as Discord has the commands. Errors lead to another attempt."""
        failures = 0
        while not self.registered:
            try:
                wait = await self._attempt()
            except NotNow:  # logged by the database
                failures += 1
                wait = RETRIES.wait(failures)
            except Exception as error:
                failures += 1
                wait = RETRIES.wait(failures, _retry_after(error))
                code = error.code if isinstance(error, discord.HTTPException) else 0
                log.error(
                    "commands not registered, retrying in %s s, members use those that Discord "
                    "has: %s. %s",
                    round(wait.total_seconds()),
                    _reason(error),
                    REMEDIES.get(code, REMEDY),
                )
            await asyncio.sleep(wait.total_seconds())

    async def _attempt(self) -> timedelta:
        """Register if need be, and return the wait before the next attempt."""
        wanted = payload_of(self._tree)
        found = await self._list()
        found_difference = difference(wanted, found)
        digest = self._digest(wanted)
        if not found_difference:
            self.registered = True
            return timedelta(0)
        wait = await self._wait_for_same(digest)
        if wait > timedelta(0):
            log.error(
                "commands at Discord differ from Easel's although they were registered within a "
                "day: %s. They are sent again in %s h, or now by easel check --register",
                found_difference,
                round(wait.total_seconds() / 3600, 1),
            )
            return wait
        await self._send(wanted, found, found_difference)
        async with self._database.transaction() as tx:
            note = {"digest": digest, "at": self._now().isoformat()}
            await write_note(tx, NOTE, json.dumps(note))
        self.registered = True
        return timedelta(0)

    async def _list(self) -> list[Json]:
        async with within(self._client, REQUEST_SECONDS):
            found = await self._client.http.request(
                self._route("GET"), params={"with_localizations": "true"}
            )
        if not isinstance(found, list):
            raise TypeError("the list of commands is no list")
        return found

    async def _send(
        self, wanted: Sequence[Json], found: Sequence[Json], reason: Difference
    ) -> None:
        async with within(self._client, REQUEST_SECONDS):
            await self._client.http.request(self._route("PUT"), json=bulk_update(wanted, found))
        log.info("registered %s commands (%s)", len(wanted), reason)

    def _route(self, method: str) -> Route:
        return Route(
            method,
            "/applications/{application_id}/commands",
            application_id=self._client.application_id,
        )

    def _digest(self, wanted: Sequence[Json]) -> str:
        content = json.dumps([self._api_url, self._client.application_id, wanted], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    async def _wait_for_same(self, digest: str) -> timedelta:
        """Return how long the same commands must wait; zero if they may be sent now."""
        async with self._database.reading() as view:
            text = await read_note(view, NOTE)
        try:
            note = json.loads(text or "{}")
            sent = datetime.fromisoformat(note["at"])
            if note["digest"] != digest:
                return timedelta(0)
        except (ValueError, KeyError, TypeError):  # none yet, or one of an older version
            return timedelta(0)
        # A clock that was set back must not forbid the registration for longer than a day.
        return min(sent + SAME_AGAIN - self._now(), SAME_AGAIN)


def _retry_after(error: Exception) -> float | None:
    if isinstance(error, discord.RateLimited):
        return error.retry_after
    if not isinstance(error, discord.HTTPException):
        return None
    if error.code == DAILY_LIMIT:
        return DAILY_LIMIT_SECONDS
    headers = error.response.headers
    return parse_retry_after(headers.get("Retry-After"), longest=86400.0, date=headers.get("Date"))


def _reason(error: Exception) -> str:
    if isinstance(error, discord.HTTPException):
        return f"{error.status} {error.code}: {error.text[:300]}"
    return f"{type(error).__name__}: {error}"
