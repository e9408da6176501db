"""Databases of older versions, and the Discord and the services that belong to them.

`databases/README.md` says how the files were made, and which jobs are in them.
"""

import base64
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.pictures import FileStore
from bot.sandbox.discord import Message, Upload
from bot.sandbox.discord.components import Media
from bot.sandbox.discord.interactions import Interaction, State
from bot.sandbox.discord.models import Channel, ChannelKind, iso
from bot.sandbox.discord.uploads import Attachment
from bot.sandbox.generations import FakeGeneration
from tests.support.easel import Stage

FOLDER = Path(__file__).with_name("databases")
REVISIONS = ("0003", "0004")

Record = dict[str, Any]  # an element of the JSON file


@dataclass(frozen=True)
class OldJob:
    """A row of the old table; `message_id` is the status message."""

    id: str
    prompt: str
    status: str
    channel_id: int
    message_id: int | None
    model: str
    created_at: str


def load(path: Path, revision: str) -> dict[str, OldJob]:
    """Write the old database as dumped; return the jobs by their prompts."""
    return _write(path, (FOLDER / f"revision_{revision}.sql").read_text())


async def restore(at: Stage, revision: str) -> dict[str, OldJob]:
    """Restore the moment of the dump: the file, the pictures, Discord and the services.

    Ada is the member of all jobs, in the stage's server.
    """
    text = (FOLDER / f"revision_{revision}.json").read_text()
    sql = (FOLDER / f"revision_{revision}.sql").read_text()
    recorded = json.loads(text)
    changed = {str(recorded["user"]): str(at.ada.id), str(recorded["server"]): str(at.server.id)}
    moment = datetime.fromtimestamp(recorded["taken_at"], UTC)
    at.clock.moved += moment - at.clock()
    pictures = {name: base64.b64decode(data) for name, data in recorded["pictures"].items()}
    changed |= await _restore_attachments(at, recorded["attachments"], pictures, text + sql)
    recorded = json.loads(_replaced(text, changed))
    changed |= _restore_skills(at, recorded["skills"])
    _restore_oxen(at, recorded["oxen"])
    _restore_discord(at, recorded)
    store = FileStore(at.path.parent / "pictures")
    for name, data in pictures.items():
        assert (await store.store(data)).sha256 == name
    return _write(at.path, _replaced(sql, changed))


def _write(path: Path, sql: str) -> dict[str, OldJob]:
    path.unlink(missing_ok=True)  # the empty one of the tests
    with closing(sqlite3.connect(path)) as database:
        database.executescript(sql)
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT id, prompt, status, channel_id, message_id, model, created_at FROM jobs"
        ).fetchall()
    return {row["prompt"]: OldJob(**dict(row)) for row in rows}


def _replaced(text: str, changed: dict[str, str]) -> str:
    for old, new in changed.items():
        text = text.replace(old, new)
    return text


async def _restore_attachments(
    at: Stage, attachments: list[Record], pictures: dict[str, bytes], text: str
) -> dict[str, str]:
    """Serve the files of messages and commands; return their new addresses by the old ones."""
    cdn, changed = at.discord.world.cdn, {}
    for each in attachments:
        upload = Upload(each["filename"], pictures[each["picture"]])
        file = await cdn.prepare(each["id"], each["folder"], upload, ephemeral=each["ephemeral"])
        cdn.store(file)
        for old in re.findall(rf"http://cdn\.invalid{file.path}[^\"\\]*", text):
            changed[old] = cdn.address(file)
    return changed


def _restore_oxen(at: Stage, generations: list[Record]) -> None:
    """Restore each generation under the old id; unsettled ones end when the test says so."""
    at.oxen.manual = True
    for number, each in enumerate(generations):
        made = FakeGeneration(
            each["id"], at.oxen.model, each["body"], each["enqueued_at"], number=number
        )
        if each["status"] == "queued":
            at.oxen.runner.take(made)
        else:
            made.status = each["status"]
            at.oxen.generations[made.id] = made


def _restore_skills(at: Stage, generations: list[Record]) -> dict[str, str]:
    """Make each open generation anew; return the new ids by the old ones."""
    at.skills.hold_generations()
    changed = {}
    for each in generations:
        if each["status"] == "processing":
            made = at.skills.begin(each["body"])
            made.enqueued_at = each["enqueued_at"]
            at.skills.runner.take(made)
            changed[each["id"]] = made.id
    return changed


def _restore_discord(at: Stage, recorded: Record) -> None:
    world = at.discord.world
    for id, name in recorded["channels"].items():
        channel = Channel(int(id), name, ChannelKind.TEXT, iso(at.clock.seconds()))
        channel.guild, channel.bot_id = at.server, world.bot.id
        world.add_channel(channel)
    for each in recorded["interactions"]:
        world.interactions[each["id"]] = _interaction(at, each)
    files = {file.id: file for file in world.cdn.files.values()}
    for each in recorded["messages"]:
        message = world.messages[each["id"]] = _message(at, each, files)
        if message.interaction is not None:
            message.interaction.message = message


def _interaction(at: Stage, recorded: Record) -> Interaction:
    """The command that requested a job, with its token."""
    world = at.discord.world
    made = Interaction(
        id=recorded["id"],
        type=2,
        user=at.ada,
        channel=world.channels[recorded["channel"]],
        application_id=world.application_id,
        data={"type": 1, "name": recorded["command"]},
        created_at=recorded["created_at"],
        changes=world.changes,
        response_seconds=3.0,
        token=recorded["token"],
        state=State(recorded["state"]),
    )
    if made.state is State.ANSWERED:
        made.response = {"type": 4}
    return made


def _message(at: Stage, recorded: Record, files: dict[int, Attachment]) -> Message:
    """A message of the old version, with its components and files.

    Discord has forgotten the nonce, so that only a search can find the message.
    """
    world = at.discord.world

    def with_media(value: Any) -> Any:  # noqa: ANN401  # any JSON
        if isinstance(value, dict) and value.keys() == {"attachment"}:
            return Media(world.ids.next(), files[value["attachment"]])
        if isinstance(value, dict):
            return {name: with_media(item) for name, item in value.items()}
        return [with_media(item) for item in value] if isinstance(value, list) else value

    channel = world.channels[recorded["channel"]]
    return Message(
        recorded["id"],
        channel,
        world.bot,
        world.cdn,
        recorded["created_at"],
        content=recorded["content"],
        tree=with_media(recorded["tree"]),
        files=[files[id] for id in recorded["files"]],
        flags=recorded["flags"],
        ephemeral_to=at.ada if recorded["private"] else None,
        interaction=world.interactions.get(recorded["interaction"]),
    )
