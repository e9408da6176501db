"""Parts of discord.py without Easel around them: errors, messages, a client without a gateway."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import discord

from bot.discord_origin_workaround import use_api
from bot.jobs import Job, JobStatus
from bot.sandbox.discord import FakeDiscord
from tests.support.rows import new_job

JSON = "application/json"


def http_error(
    status: int,
    code: int = 0,
    text: str = "no",
    *,
    kind: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> discord.HTTPException:
    """Return the error that discord.py raises for an answer of this status and type."""
    response: Any = SimpleNamespace(
        status=status, reason="", headers={"Content-Type": kind, **(headers or {})}
    )
    errors = {403: discord.Forbidden, 404: discord.NotFound}
    raised = discord.DiscordServerError if status >= 500 else discord.HTTPException
    return errors.get(status, raised)(response, {"code": code, "message": text})


@asynccontextmanager
async def logged_in(
    fake: FakeDiscord, kind: type[discord.Client] = discord.Client
) -> AsyncIterator[discord.Client]:
    """Yield a client that is logged in at the stand-in for requests alone."""
    use_api(fake.url)
    async with kind(intents=discord.Intents.none(), max_ratelimit_timeout=30) as client:
        await client.login(fake.token)
        yield client


def message_of(client: discord.Client, data: Mapping[str, Any]) -> discord.Message:
    """Return a message as discord.py reads it from Discord's data, in a channel without a server.

    `data` are the parts that a test is about.
    """
    channel: Any = client.get_partial_messageable(7)
    whole: Any = {
        "id": "1",
        "channel_id": "7",
        "type": 0,
        "author": {"id": "5", "username": "ada", "discriminator": "0", "avatar": None},
        "timestamp": "2026-11-21T12:00:00+00:00",
        "edited_timestamp": None,
        "flags": 0,
        "content": "",
        "embeds": [],
        "attachments": [],
        "components": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "pinned": False,
        "tts": False,
        **data,
    }
    return discord.Message(state=client._connection, channel=channel, data=whole)


def job_of(**changes: Any) -> Job:  # noqa: ANN401  # of a stored job
    """Return a job that has succeeded, as the store would, without a database."""
    new = new_job()
    job = Job(
        *(new.id, JobStatus.SUCCEEDED, new.user_id, new.route, new.request),
        *(new.provider, new.price, new.created_at),
        secret=new.secret,
    )
    return replace(job, **changes)
