"""Databases of version 0.1.0 and of revision 0004, with a job in every state, go on."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StartupError
from bot.jobs import Job, JobStatus
from bot.sandbox.discord import Message
from bot.store.audit import verify
from bot.store.database import REVISION
from bot.store.sqlite import SQLiteDatabase
from tests.support import old_books
from tests.support.books import charges
from tests.support.command_line import Ended, easel
from tests.support.easel import KEY, SKILLS_KEY, TOKEN, Stage
from tests.support.old_database import FOLDER, REVISIONS, OldJob, load, restore

RENAMED = {
    "server_id": "account_server_id",
    "message_id": "status_message_id",
    "model_chosen": "model_auto",
    "inputs_kept": "inputs_stored",
    "deliveries": "delivery_attempts",
    "told_late": "final_status_sent",
    "late_at": "overdue_at",
}
# By revisions 0004 to 0008.
ADDED = {
    *("model_auto", "delivery_error", "provider", "delivery_started_at"),
    *("origin_id", "secret", "input_bytes", "owner", "epoch", "upload_limit"),
    *("source_job_id", "expanded_prompt", "hidden_at", "spoiler", "notify", "reply_to_id"),
    *("result_channel_id", "slow_shown", "canceled_by"),
    *("allowance", "allowance_period", "granted", "locale", "generation_ms"),
    "allowed_models",
}
NEW_OBJECTS = {
    "ix_jobs_origin_id",
    "ix_jobs_tokens",
    "ix_jobs_user_id_status",
    "ix_jobs_model_settled_at",
    "ix_generations_open",
    "ix_ledger_losses",
    "ix_ledger_user_id_counted_at",
    "ix_ledger_counted_at",
    "ix_jobs_source_job_id",
    "ix_jobs_result_message_id",
    *("ix_jobs_canceled_by", "ix_job_pictures_author_id", "ix_reduced_copies_original"),
    "ix_favourites_user_id_created_at",
    "ix_favourites_job_id",
    *("ix_ledger_server_id_counted_at", "ix_ledger_granted", "ix_changes_server_id"),
    *("ix_jobs_account_server_id_created_at", "ix_ledger_beside_costs"),
    *("ledger_adds", "changes_refuses_update", "changes_refuses_delete"),
}
NEW_TABLES = {
    "sqlite_sequence",
    "processes",
    "circuits",
    "favourites",
    "preferences",
    "reduced_copies",
    *("sums", "servers", "rights", "changes", "warnings", "erasures"),
}

# Each job's status after the upgrade, and the number of messages that show a result of the job.
ENDS = {
    "overdue": (JobStatus.FAILED, 1),
    "overdue undelivered": (JobStatus.FAILED, 1),
    "done": (JobStatus.SUCCEEDED, 1),
    "canceled": (JobStatus.CANCELED, 0),
    "undelivered": (JobStatus.SUCCEEDED, 1),
    "failed": (JobStatus.FAILED, 0),
    "running at oxen": (JobStatus.CANCELED, 0),  # by the button
    "running at skills": (JobStatus.SUCCEEDED, 1),
    "private": (JobStatus.SUCCEEDED, 1),
    "edit": (JobStatus.SUCCEEDED, 1),
    "posted": (JobStatus.SUCCEEDED, 1),
    "submitting": (JobStatus.SUCCEEDED, 1),
    "queued": (JobStatus.SUCCEEDED, 1),
    "queued during an outage": (JobStatus.SUCCEEDED, 1),
    "queued edit": (JobStatus.SUCCEEDED, 1),
    "queued without a model": (JobStatus.SUCCEEDED, 1),
    "reply not stored": (JobStatus.SUCCEEDED, 1),
    "reply lost": (JobStatus.CANCELED, 0),
}


def visible(at: Stage) -> Iterator[Message]:
    return (message for message in at.discord.world.messages.values() if not message.deleted)


def results(at: Stage, job: OldJob | Job) -> list[Message]:
    """The messages that show a picture of the job, in any channel, to anybody."""
    name = f"/easel-{job.id}-"
    return [each for each in visible(at) if any(name in url for url in each.pictures())]


def messages_of(at: Stage, prompt: str) -> list[Message]:
    """The job's messages: results, failures and status messages, but no replies to /cancel."""
    return [
        each
        for each in visible(at)
        if f"> {prompt}" in each.text().splitlines()
        and not (each.interaction and each.interaction.name == "cancel")
    ]


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():
            await asyncio.sleep(0.05)


async def delivered(at: Stage, *prompts: str) -> dict[str, Job]:
    """Wait until these jobs are settled and delivered; return all jobs by their prompts."""
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        found = {job.request.prompt: job for job in await at.jobs()}
        waiting = {prompt for prompt in prompts if not found[prompt].delivered_at}
        if not waiting:
            return found
        assert asyncio.get_running_loop().time() < deadline, waiting
        await asyncio.sleep(0.1)


async def cancel(at: Stage, job: OldJob) -> str:
    """Press the button under the old status message; return the text of the reply."""
    message = at.discord.world.messages[job.message_id or 0]
    pressed = await at.discord.click(at.ada, message, f"easel:cancel:{job.id}")
    await pressed.answered()
    return pressed.message.text() if pressed.message else ""


async def finished_upgrade(at: Stage, old: dict[str, OldJob]) -> dict[str, Job]:
    """Run the new version on the old file until every job is delivered."""
    async with at.easel():
        await cancel(at, old["running at oxen"])
        await until(lambda: any(each.method == "DELETE" for each in at.oxen.requests))
        at.oxen.manual = False
        at.skills.release_generations()
        at.clock.move(seconds=16)  # after which an unconfirmed reply is reconciled
        await delivered(at, *ENDS.keys() - {"queued", "queued edit"})
        at.clock.move(minutes=6)  # the interval of the polls of overdue generations
        await until(lambda: bool(results(at, old["overdue"])))
        at.clock.move(minutes=10)  # the pause that the services requested of the queued jobs
        found = await delivered(at, *ENDS)
        assert await at.settled(len(ENDS))
        return found


@pytest.mark.long
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_job_goes_on(at: Stage, revision: str) -> None:
    old = await restore(at, revision)
    assert old.keys() == ENDS.keys()
    made = len(at.oxen.generations), len(at.skills.generations)

    found = await finished_upgrade(at, old)

    ends = {prompt: (job.status, len(results(at, job))) for prompt, job in found.items()}
    assert ends == ENDS
    assert {prompt: job.provider for prompt, job in found.items()} == {
        prompt: job.model for prompt, job in old.items()
    }
    # Just what was queued is submitted; an unknown outcome never is.
    submitted = len(at.oxen.generations) - made[0], len(at.skills.generations) - made[1]
    assert submitted == (2, 3)
    # An overdue end has two messages: the failure, and later the result.
    messages = dict.fromkeys(ENDS, 1) | {"overdue": 2, "overdue undelivered": 2, "reply lost": 0}
    assert {prompt: len(messages_of(at, prompt)) for prompt in ENDS} == messages
    for prompt, job in found.items():
        if ENDS[prompt][1]:
            (shown,) = results(at, job)
            assert shown.id == job.result_message_id
            assert shown.channel.id == old[prompt].channel_id
            assert (shown.ephemeral_to is at.ada) == (prompt == "private")
    async with at.database() as database, database.reading() as view:
        assert (await verify(view)).findings == ()


@pytest.mark.long
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_result_that_the_old_version_posted_is_adopted(at: Stage, revision: str) -> None:
    old = await restore(at, revision)
    (posted,) = results(at, old["posted"])
    before = len(at.discord.requests)

    async with at.easel():
        found = await delivered(at, "posted")

    assert found["posted"].result_message_id == posted.id
    assert results(at, old["posted"]) == [posted]
    path = f"/channels/{posted.channel.id}/messages"
    sent = [(each.method, each.path) for each in at.discord.requests[before:]]
    assert not [each for each in sent if each[0] == "POST" and each[1].endswith(path)]
    status = at.discord.world.messages[old["posted"].message_id or 0]
    assert status.deleted


@pytest.mark.parametrize("revision", REVISIONS)
async def test_old_buttons_and_the_old_history_work(at: Stage, revision: str) -> None:
    old = await restore(at, revision)
    (history,) = [each for each in visible(at) if each.interactive("easel:history")]

    async with at.easel():
        await cancel(at, old["queued"])
        chosen = await at.discord.select(at.ada, history, "easel:history", [old["done"].id])
        await chosen.answered()
        await until(lambda: len(results(at, old["done"])) == 2)
        found = await delivered(at, "queued")

    assert found["queued"].status is JobStatus.CANCELED
    (shown,) = [each for each in results(at, old["done"]) if each.ephemeral_to is at.ada]
    assert f"job {old['done'].id}" in shown.text()


NEW_COLUMNS = {"job_pictures": {"author_id": None}}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_migration_keeps_every_value(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    load(path, revision)
    before, objects = contents(path), schema(path)
    async with SQLiteDatabase(path):
        pass
    after = contents(path)

    assert before.keys() == after.keys() - NEW_TABLES
    for table in before.keys() - {"jobs", "ledger", "alembic_version"}:
        added = NEW_COLUMNS.get(table, {})
        assert [{**row, **added} for row in before[table]] == after[table]
    requested = {row["id"]: row["created_at"] for row in before["jobs"]}
    provider_of = {row["id"]: row["provider"] for row in after["jobs"]}
    for old, new in zip(before["ledger"], after["ledger"], strict=True):
        month = old.pop("month")
        counted_at = new.pop("counted_at")
        assert new.pop("granted") == 0
        assert new.pop("provider") == provider_of[new["job_id"]]
        assert old == new
        assert counted_at == requested[new["job_id"]]
        assert str(counted_at).startswith(str(month))
    for old, new in zip(before["jobs"], after["jobs"], strict=True):
        renamed = {RENAMED.get(name, name): value for name, value in old.items()}
        if old["delivered_at"] is None:  # then the id is not that of the result
            renamed["result_message_id"] = None
        assert renamed.items() <= new.items()
        assert new.keys() == renamed.keys() | ADDED
        assert new["provider"] == old["model"]
    assert after["alembic_version"] == [{"version_num": REVISION}]
    renamed_indexes = {"ix_ledger_user_id_month", "ix_ledger_month"}
    assert schema(path).keys() == objects.keys() - renamed_indexes | NEW_OBJECTS


@pytest.mark.parametrize("revision", REVISIONS)
async def test_deliveries_under_way_have_a_first_attempt(revision: str, tmp_path: Path) -> None:
    """The old version stored no time of the first attempt; the event before it is close."""
    path = tmp_path / "easel.db"
    load(path, revision)
    async with SQLiteDatabase(path):
        pass

    jobs = {str(row["prompt"]): row for row in contents(path)["jobs"]}
    started = {
        prompt: row["delivery_started_at"]
        for prompt, row in jobs.items()
        if row["delivery_started_at"]
    }
    assert started == {
        "undelivered": jobs["undelivered"]["settled_at"],
        "failed": jobs["failed"]["settled_at"],
        "posted": jobs["posted"]["settled_at"],
        # settled at JOB_TIMEOUT, up to 24 hours before there was a result to deliver
        "overdue undelivered": jobs["overdue undelivered"]["overdue_at"],
    }


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_ledger_stays_append_only(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    load(path, revision)
    async with SQLiteDatabase(path):
        pass

    with closing(sqlite3.connect(path)) as database:
        for statement in ("UPDATE ledger SET amount = 0", "DELETE FROM ledger"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                database.execute(statement)


@pytest.mark.parametrize("column", ["provider", "delivery_started_at"])
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_migration_that_fails_midway_changes_nothing(
    tmp_path: Path, revision: str, column: str
) -> None:
    """A column that exists already stops 0005 after the renames, or after the update."""
    path = tmp_path / "easel.db"
    load(path, revision)
    alter(path, f"ALTER TABLE jobs ADD COLUMN {column} TEXT")
    before = dump(path)

    with pytest.raises(StartupError, match=f"duplicate column name: {column}"):
        async with SQLiteDatabase(path):
            pass

    assert dump(path) == before
    alter(path, f"ALTER TABLE jobs DROP COLUMN {column}")
    async with SQLiteDatabase(path):
        pass
    assert contents(path)["alembic_version"] == [{"version_num": REVISION}]


@pytest.mark.long
@pytest.mark.parametrize("revision", REVISIONS)
async def test_commands_refuse_an_old_file_until_the_first_start(at: Stage, revision: str) -> None:
    await restore(at, revision)
    sentence = (
        f"was written by an older Easel (revision {revision}; this version needs {REVISION}). "
        "Start this version once with `easel run` to migrate the file."
    )

    refused = await command(at, "ledger", "verify")
    assert refused.code == 2
    assert sentence in refused.errors
    checked = await command(at, "check", "--json")
    assert (checked.code, checked.errors) == (0, "")  # a warning: `easel run` migrates the file
    assert sentence in checked.out
    assert "Copy it first with `easel backup`." in checked.out
    async with SQLiteDatabase(at.path):
        pass
    verified = await command(at, "ledger", "verify")
    assert (verified.code, "it adds up" in verified.out) == (0, True)
    checked = await command(at, "check", "--json")
    assert (checked.code, checked.errors) == (0, "")
    assert f"revision {REVISION}" in checked.out
    assert "older Easel" not in checked.out


@pytest.mark.parametrize("revision", old_books.REVISIONS)
async def test_the_sums_of_an_older_file_are_those_of_its_entries(
    tmp_path: Path, revision: str
) -> None:
    path = tmp_path / "easel.db"
    await old_books.write_old_file(path, revision)

    async with SQLiteDatabase(path) as database, database.reading() as view:
        assert (await verify(view, charges())).findings == ()
        assert (await old_books.stored_sums(view)) == (await old_books.counted_sums(view)) != {}


def test_the_dumps_are_small_and_hold_no_token() -> None:
    for revision in REVISIONS:
        text = (FOLDER / f"revision_{revision}.sql").read_text()
        assert f"INSERT INTO \"alembic_version\" VALUES('{revision}')" in text
    for file in FOLDER.glob("revision_*"):
        assert file.stat().st_size < 60_000
        assert TOKEN not in file.read_text()


async def command(at: Stage, *arguments: str) -> Ended:
    return await easel(
        at.folder,
        *arguments,
        DISCORD_TOKEN=TOKEN,
        DISCORD_API_URL=at.discord.url,
        OXEN_API_KEY=KEY,
        OXEN_API_URL=at.oxen.url,
        PRIVATE_HOSTS=at.private_hosts,
        SKILLS_API_KEY=SKILLS_KEY,
        SKILLS_API_URL=at.skills.url,
        DATABASE_URL=f"sqlite:///{at.path}",
        SERVERS=str(at.server.id),
    )


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, by the names of the columns."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return {
            name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608
            for name in tables(database)
        }


def tables(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [row[0] for row in found if not row[0].startswith("sqlite_")]


def schema(path: Path) -> dict[str, str]:
    """The statement of every index and trigger, by name."""
    with closing(sqlite3.connect(path)) as database:
        return dict(
            database.execute(
                "SELECT name, sql FROM sqlite_master "
                "WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
            ).fetchall()
        )


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement)
