"""A database of version 0.1.0, with jobs in every state, goes on in this version."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.jobs import Job, JobStatus
from bot.sandbox.discord import Message
from bot.store.audit import verify
from bot.store.database import REVISION, Database
from bot.store.migrations import upgrade
from tests.support.command_line import easel
from tests.support.easel import Stage
from tests.support.old_database import (
    FOLDER,
    REVISIONS,
    load,
    restore_discord,
    restore_generations,
    restore_result,
)

RENAMED = {
    "server_id": "account_server_id",
    "message_id": "status_message_id",
    "model_chosen": "model_auto",
    "inputs_kept": "inputs_stored",
    "deliveries": "delivery_attempts",
    "told_late": "final_status_sent",
    "late_at": "overdue_at",
}
pytestmark = pytest.mark.long


def results(at: Stage, job: Job | None) -> list[Message]:
    """The messages that show the job's pictures, anywhere."""
    assert job is not None
    return [
        message
        for message in at.discord.world.messages.values()
        if not message.deleted and any(f"easel-{job.id}-" in url for url in message.pictures())
    ]


async def settled(at: Stage, count: int) -> dict[str, Job]:
    """Wait until so many jobs are settled and delivered; return all jobs by their prompts."""
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        found = {job.request.prompt: job for job in await at.jobs()}
        waiting = {prompt: job for prompt, job in found.items() if not job.delivered_at}
        if len(found) - len(waiting) >= count:
            return found
        assert asyncio.get_running_loop().time() < deadline, waiting
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_job_goes_on(at: Stage, revision: str) -> None:
    old = load(at, revision)
    channels = await restore_discord(at, old)
    await restore_generations(at, old)
    await restore_result(at, old["posted"])

    async with at.easel():
        pressed = await at.discord.click(
            at.ada,
            at.discord.world.messages[old["running at oxen"].message_id or 0],
            f"easel:cancel:{old['running at oxen'].id}",
        )
        await pressed.answered()
        async with asyncio.timeout(15):
            while not any(each.method == "DELETE" for each in at.oxen.requests):
                await asyncio.sleep(0.05)
        await at.finish()
        at.skills.release_generations()
        at.clock.move(seconds=16)  # after which an unconfirmed reply is reconciled
        found = await settled(at, len(old) - 1)
        at.clock.move(minutes=6)  # the interval of polls of overdue generations
        async with asyncio.timeout(20):
            while not results(at, found["overdue"]):
                await asyncio.sleep(0.1)
        at.clock.move(minutes=10)  # the pause that the service requested of the queued job
        history = await at.command("history")
        assert history.message is not None
        chosen = await at.discord.select(
            at.ada, history.message, "easel:history", [old["posted"].id]
        )
        await chosen.answered()
        await at.discord.wait_for_message(lambda it: f"job {old['posted'].id}" in it.text())
        found = await settled(at, len(old))

    assert found.keys() == old.keys()
    assert {prompt: job.status for prompt, job in found.items()} == {
        "done": JobStatus.SUCCEEDED,
        "canceled": JobStatus.CANCELED,
        "overdue": JobStatus.FAILED,
        "undelivered": JobStatus.SUCCEEDED,
        "failed": JobStatus.FAILED,
        "posted": JobStatus.SUCCEEDED,
        "running at oxen": JobStatus.CANCELED,
        "running at skills": JobStatus.SUCCEEDED,
        "private": JobStatus.SUCCEEDED,
        "edit": JobStatus.SUCCEEDED,
        "submitting": JobStatus.SUCCEEDED,
        "queued": JobStatus.SUCCEEDED,
        "unconfirmed": JobStatus.CANCELED,
    }
    assert {job.provider for job in found.values()} == {"oxen", "skills"}
    assert all(job.provider == old[prompt].model for prompt, job in found.items())
    once = ("posted", "running at skills", "private", "edit", "submitting", "queued", "overdue")
    assert {prompt: len(results(at, found[prompt])) for prompt in once} == dict.fromkeys(once, 1)
    (adopted,) = results(at, found["posted"])
    assert adopted.id == found["posted"].result_message_id
    assert adopted.channel is channels[old["posted"].channel_id]
    assert results(at, found["private"])[0].ephemeral_to is at.ada
    assert len(at.oxen.generations) == 4  # nothing was submitted again
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_migration_keeps_every_value(at: Stage, revision: str, tmp_path: Path) -> None:
    load(at, revision)
    before = contents(at.path)
    async with Database(at.path):
        pass
    after = contents(at.path)

    assert before.keys() == after.keys()
    for table in before.keys() - {"jobs", "alembic_version"}:
        assert before[table] == after[table]
    for old, new in zip(before["jobs"], after["jobs"], strict=True):
        renamed = {RENAMED.get(name, name): value for name, value in old.items()}
        assert renamed.items() <= new.items()
        assert new["provider"] == old["model"]
    assert after["alembic_version"] == [{"version_num": REVISION}]
    assert schema(at.path, "trigger") == ["ledger_refuses_delete", "ledger_refuses_update"]
    assert "ix_jobs_user_id_created_at" in schema(at.path, "index")


async def test_a_migration_that_fails_changes_nothing(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(at, "0004")
    before = contents(at.path)

    def fails(connection: object) -> None:
        upgrade(connection)  # type: ignore[arg-type]  # the same connection
        raise OSError("no space left on device")

    monkeypatch.setattr("bot.store.migrations.upgrade", fails)
    with pytest.raises(Exception, match="no space left"):
        async with Database(at.path):
            pass

    assert contents(at.path) == before


async def test_commands_refuse_an_old_file_until_the_first_start(at: Stage) -> None:
    load(at, "0004")
    url = f"sqlite:///{at.path}"

    refused = await easel(at.folder, "ledger", "verify", DATABASE_URL=url)
    assert refused.code == 2
    assert "was written by an older Easel (revision 0004" in refused.errors
    async with Database(at.path):
        pass
    verified = await easel(at.folder, "ledger", "verify", DATABASE_URL=url)
    assert (verified.code, "it adds up" in verified.out) == (0, True)


def test_the_dumps_are_of_the_revisions_that_they_are_named_for() -> None:
    for revision in REVISIONS:
        text = (FOLDER / f"revision_{revision}.sql").read_text()
        assert f"INSERT INTO \"alembic_version\" VALUES('{revision}')" in text


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, by the names of the columns."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        names = [
            row[0]
            for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith("sqlite_")
        ]
        return {
            name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
            for name in names
        }


def schema(path: Path, kind: str) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        statement = "SELECT name FROM sqlite_master WHERE type = ? ORDER BY name"
        return [row[0] for row in database.execute(statement, (kind,))]
