"""Databases of version 0.1.0, and the Discord and image APIs that belong to them.

`databases/revision_0003.sql` was made by the release 0.1.0, `revision_0004.sql` by the last commit
before the columns were renamed. Each is the dump of a file of the running bot between the
sandbox's stand-ins, in the moment of a kill. A job's prompt names the job's state:

- done, canceled: settled and delivered
- overdue: failed at JOB_TIMEOUT and delivered, with a generation that is still open
- undelivered, failed: settled; Discord refused every post
- posted: succeeded; the result was posted, and the process killed before it knew
- running at oxen, running at skills, private, edit: running, with stored remote ids
- submitting: the creating request was taken, and its answer never read
- queued: refused for now by the service (429)
- unconfirmed: Discord never received the reply

Interaction tokens were replaced by "token of" and the prompt.
"""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bot.sandbox.discord import Channel, Message
from bot.sandbox.discord.interactions import Interaction, State
from bot.sandbox.discord.messages import EPHEMERAL, V2
from bot.sandbox.discord.models import ChannelKind, iso
from tests.support.easel import KEY, SKILLS_KEY, TOKEN, Stage
from tests.support.files import picture

FOLDER = Path(__file__).with_name("databases")
REVISIONS = ("0003", "0004")


@dataclass(frozen=True)
class OldJob:
    """A row of the old table; `message_id` is the status message."""

    id: str
    prompt: str
    status: str
    channel_id: int
    message_id: int | None
    private: bool
    model: str
    created_at: datetime


def load(at: Stage, revision: str) -> dict[str, OldJob]:
    """Write the old database for Ada in the stage's server; return the jobs by their prompts."""
    text = (FOLDER / f"revision_{revision}.sql").read_text()
    (user,) = set(re.findall(r'INSERT INTO "ledger" VALUES\(\d+,\'\w+\',(\d+)', text))
    (server,) = set(re.findall(r'INSERT INTO "ledger" VALUES\(\d+,\'\w+\',\d+,(\d+)', text))
    text = text.replace(user, str(at.ada.id)).replace(server, str(at.server.id))
    with closing(sqlite3.connect(at.path)) as database:
        database.executescript(text)
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT id, prompt, status, channel_id, message_id, private, model, created_at "
            "FROM jobs ORDER BY created_at"
        ).fetchall()
    jobs = [
        OldJob(**row | {"created_at": datetime.fromisoformat(f"{row['created_at']}+00:00")})
        for row in map(dict, rows)
    ]
    at.clock.moved = jobs[-1].created_at - datetime.now(UTC)
    at.clock.move(seconds=3)  # between the kill and the next start
    return {job.prompt: job for job in jobs}


async def restore_discord(at: Stage, jobs: dict[str, OldJob]) -> dict[int, Channel]:
    """Make the channels and the bot's status messages; return the channels by id."""
    channels: dict[int, Channel] = {}
    for job in jobs.values():
        if job.channel_id not in channels:
            channel = Channel(
                job.channel_id,
                f"art-{len(channels)}",
                ChannelKind.TEXT,
                iso(at.clock.seconds()),
                guild=at.server,
                bot_id=at.discord.bot_user.id,
            )
            channels[channel.id] = at.discord.world.add_channel(channel)
        interaction = _interaction(at, job, channels[job.channel_id])
        if job.message_id is not None:
            _reply(at, job, interaction)
    return channels


def _interaction(at: Stage, job: OldJob, channel: Channel) -> Interaction:
    """The command that requested the job, with its token."""
    world = at.discord.world
    interaction = Interaction(
        id=world.ids.next(),
        type=2,
        user=at.ada,
        channel=channel,
        application_id=world.application_id,
        data={"type": 1, "name": "imagine"},
        created_at=job.created_at.timestamp(),
        changes=world.changes,
        response_seconds=3.0,
        token=f"token of {job.prompt}",
    )
    world.interactions[interaction.id] = interaction
    return interaction


def _reply(at: Stage, job: OldJob, interaction: Interaction) -> None:
    """The status message of the old version: a text and a Cancel button."""
    world, created_at = at.discord.world, iso(job.created_at.timestamp())
    message = Message(job.message_id or 0, interaction.channel, world.bot, world.cdn, created_at)
    message.flags = V2 | (EPHEMERAL if job.private else 0)
    message.ephemeral_to = at.ada if job.private else None
    button = {
        "type": 2,
        "id": 4,
        "style": 2,
        "label": "Cancel",
        "custom_id": f"easel:cancel:{job.id}",
        "disabled": False,
    }
    text = {"type": 10, "id": 2, "content": f"**Drawing**\n> {job.prompt}"}
    message.tree = [
        {"type": 17, "id": 1, "components": [text], "accent_color": None, "spoiler": False},
        {"type": 1, "id": 3, "components": [button]},
    ]
    message.interaction = interaction
    interaction.message = message
    interaction.response, interaction.state = {"type": 4}, State.ANSWERED
    world.messages[message.id] = message


async def restore_result(at: Stage, job: OldJob) -> None:
    """Post the result as the old version did, by a file with the job's id and the small line."""
    name = f"easel-{job.id}-1.png"
    payload = {
        "flags": V2,
        "components": [
            {
                "type": 17,
                "components": [
                    {"type": 10, "content": f"<@{at.ada.id}>\n> {job.prompt}"},
                    {"type": 12, "items": [{"media": {"url": f"attachment://{name}"}}]},
                ],
            }
        ],
        "attachments": [{"id": 0, "filename": name}],
        "allowed_mentions": {"parse": [], "users": [str(at.ada.id)]},
    }
    form = aiohttp.FormData()
    form.add_field("payload_json", json.dumps(payload), content_type="application/json")
    form.add_field("files[0]", picture(), filename=name, content_type="application/octet-stream")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as session,
        session.post(f"{at.discord.url}/channels/{job.channel_id}/messages", data=form) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def restore_generations(at: Stage, jobs: dict[str, OldJob]) -> None:
    """Make a generation at the services for each that the old version started.

    The services give ids of their own, which take the place of the old ones in the database.
    """
    at.oxen.manual = True
    at.skills.hold_generations()
    for prompt in ("running at oxen", "private", "edit"):
        _replace_remote_id(at, jobs[prompt], await _at_oxen(at, prompt))
    for prompt in ("running at skills", "overdue"):
        _replace_remote_id(at, jobs[prompt], await _at_skills(at, prompt))
    taken = await _at_oxen(at, "submitting")  # the old version never read the answer
    at.oxen.generations[taken].enqueued_at = jobs["submitting"].created_at.timestamp()


async def _at_oxen(at: Stage, prompt: str) -> str:
    body: dict[str, object] = {"model": "qwen-image-2", "prompt": prompt}
    answer = await _create(f"{at.oxen.url}/ai/queue", KEY, body)
    return str(answer["generations"][0]["generation_id"])


async def _at_skills(at: Stage, prompt: str) -> str:
    url = f"{at.skills.url}/generation/qwen/qwen-image-2-pro"
    return str((await _create(url, SKILLS_KEY, {"prompt": prompt}))["id"])


async def _create(url: str, key: str, body: dict[str, object]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=body) as answer,
    ):
        assert answer.status in (200, 202), await answer.text()
        decoded: dict[str, Any] = await answer.json()
        return decoded


def _replace_remote_id(at: Stage, job: OldJob, remote_id: str) -> None:
    with closing(sqlite3.connect(at.path)) as database, database:
        statement = "UPDATE generations SET remote_id = ? WHERE job_id = ?"
        assert database.execute(statement, (remote_id, job.id)).rowcount == 1
