"""What goes wrong around a running bot: its database, its disk, its keys."""

import asyncio
import resource
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest

from bot.app import App
from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.http.faults import Answer, Hold
from bot.store import sqlite
from bot.store.sqlite import READERS, SQLiteDatabase
from bot.studio.requests import WRITE_LOCK_TIMEOUT
from tests.support.easel import KEY, TOKEN, Stage, text_of

pytestmark = pytest.mark.long

NOT_NOW = "not possible right now"


@asynccontextmanager
async def process(at: Stage, **settings: str) -> AsyncIterator[BotProcess]:
    """The bot as its own process, on the stage's file; its log is `easel.log` beside it."""
    given = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "DATABASE_URL": f"sqlite:///{at.path}",
    }
    async with run_bot(at.folder, given | settings) as bot:
        yield bot


async def ready(at: Stage) -> None:
    await at.discord.connected(60)
    await at.discord.commands_registered()


def log_of(at: Stage) -> str:
    return (at.folder / "easel.log").read_text()


@asynccontextmanager
async def locked(at: Stage) -> AsyncIterator[None]:
    """Another program writes to the database and does not come to an end."""
    other = sqlite3.connect(at.path, isolation_level=None, check_same_thread=False)
    with closing(other):
        # In a thread: the bot may be in a transaction, and end it in this very event loop.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_locked_database_is_told_in_time_and_waited_for(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both waits leave time for the reply, which the sandbox refuses after three seconds.
    assert WRITE_LOCK_TIMEOUT + sqlite.BUSY_SECONDS <= 2.5
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.3)  # a busy machine needs more for the reply
    async with at.easel():
        async with locked(at):
            refused = await at.imagine("a fox")
            assert NOT_NOW in text_of(refused)
        await at.imagine("a hare")
        await at.result("a hare")
        (job,) = await at.settled()

    assert job.request.prompt == "a hare"
    assert await at.balance() == -(job.cost or 0)


async def test_a_job_under_way_waits_for_a_locked_database(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        async with locked(at):
            await at.finish()
            await asyncio.sleep(2.5)  # it has tried by now, and could not
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.oxen.generations) == 1


@pytest.mark.parametrize("model", ["oxen", "skills"])
async def test_what_a_service_has_taken_is_stored_when_that_is_possible(
    at: Stage, model: str
) -> None:
    """Another program locks the database between the service's answer and its storing."""
    api, path = (at.oxen, "/api/ai/queue") if model == "oxen" else (at.skills, "/api/v1/.*")
    held = api.faults.add("POST", path, Hold())
    async with at.easel():
        await at.imagine("a fox", model=model)
        await held.reached()
        async with locked(at):
            held.release()
            await asyncio.sleep(2.5)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.oxen.generations) + len(at.skills.generations) == 1


@pytest.mark.parametrize(
    "answer", [Answer(429, {}, held=True), Answer(400, {"error": "bad"}, held=True)], ids=str
)
async def test_what_a_service_refuses_is_stored_when_that_is_possible(
    at: Stage, answer: Answer
) -> None:
    """Else nobody would know that nothing was taken, and it would end in doubt."""
    held = at.oxen.faults.add("POST", "/api/ai/queue", answer)
    async with at.easel():
        await at.imagine("a fox")
        await held.reached()
        async with locked(at):
            held.release()
            await asyncio.sleep(2.5)
        (job,) = await at.settled()

    if answer.status == 429:
        assert (job.status, len(at.created())) == (JobStatus.SUCCEEDED, 2)
    else:
        assert (job.status, job.reason, len(at.created())) == (
            JobStatus.FAILED,
            Reason.INVALID,
            1,
        )


async def test_a_job_whose_watch_could_not_be_begun_is_watched_later(at: Stage) -> None:
    """All of the readers are at work, for longer than anybody waits for one."""
    held = at.oxen.faults.add("POST", "/api/ai/queue", Hold())
    async with at.easel() as app:
        await at.imagine("a fox")
        await held.reached()
        async with AsyncExitStack() as reading:
            for _ in range(READERS):
                await reading.enter_async_context(app.services.database.reading())
            held.release()
            await asyncio.sleep(2.5)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED


async def test_a_start_waits_for_a_locked_database(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
    at.oxen.manual = False
    at.oxen.release_generations()
    async with at.app() as app:
        async with locked(at):
            running = asyncio.create_task(app.run())
            await asyncio.sleep(2)
        (job,) = await at.settled()
        app.stop()
        await asyncio.wait_for(running, 20)

    assert job.status is JobStatus.SUCCEEDED


async def test_a_database_that_cannot_be_written_to_is_told_and_recovered_from(at: Stage) -> None:
    """SQLite refuses to write, as where its disk has become read-only."""

    async def read_only(app: App, value: str) -> None:
        database = app.services.database
        assert isinstance(database, SQLiteDatabase)
        async with database._writer.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute(f"PRAGMA query_only={value}")

    at.oxen.manual = True
    async with at.easel() as app:
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        await read_only(app, "ON")
        assert NOT_NOW in text_of(await at.imagine("a hare"))
        (job,) = await at.jobs()
        assert NOT_NOW in text_of(await at.command("cancel", job=job.id))
        assert asked.message is not None
        pressed = await at.discord.click(at.ada, asked.message, f"easel:cancel:{job.id}")
        assert NOT_NOW in text_of(await pressed.answered())
        assert "a fox" in text_of(await at.command("jobs"))
        await at.finish()
        await asyncio.sleep(1)
        await read_only(app, "OFF")
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert await at.balance() == -(job.cost or 0)


async def test_a_full_disk_is_told_and_recovered_from(at: Stage) -> None:
    """No file may grow, as on a disk without room."""
    async with process(at) as bot:
        await ready(at)
        await at.imagine("a fox")
        await at.settled()
        limits = resource.prlimit(bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        refused = await at.imagine("a hare")
        assert NOT_NOW in text_of(refused)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, limits)
        await at.imagine("a whale")
        await at.result("a whale")
        found = await at.settled(2)

    assert sorted(job.request.prompt for job in found) == ["a fox", "a whale"]
    with closing(sqlite3.connect(at.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_picture_that_finds_no_room_is_kept_when_there_is_some(at: Stage) -> None:
    at.oxen.manual = True
    async with process(at) as bot:
        await ready(at)
        await at.imagine("a fox")
        await at.said("Drawing")
        limits = resource.prlimit(bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        await at.finish()
        await asyncio.sleep(1)
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, limits)
        (job,) = await at.settled()

    assert job.status is JobStatus.SUCCEEDED
    assert len(at.oxen.generations) == 1


async def test_a_revoked_token_ends_the_bot_with_one_line(at: Stage) -> None:
    async with process(at) as bot:
        await ready(at)
        await at.discord.revoke_token()
        code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 2
    last = log_of(at).splitlines()[-1]
    assert last.startswith("easel: DISCORD_TOKEN: Discord refuses it. Reset it at")
    assert "Traceback" not in log_of(at)


async def test_an_expired_key_fails_jobs_uncharged_and_is_told_once(at: Stage) -> None:
    async with process(at):
        await ready(at)
        at.oxen.faults.add("*", "/api/ai/.*", Answer(401, {"error": "expired"}), times=None)
        for animal in ("fox", "hare"):
            await at.imagine(f"a {animal}")
            await at.said("does not accept this bot")
        found = await at.settled(2)

    assert {job.status for job in found} == {JobStatus.FAILED}
    assert await at.balance() == 0
    assert log_of(at).count("oxen does not accept OXEN_API_KEY") == 1


async def test_a_taken_port_is_one_line_before_the_start(at: Stage) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        async with process(at, HTTP_PORT=port) as bot:
            code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 2
    assert log_of(at).startswith(f"easel: HTTP_PORT: {port}")
    assert log_of(at).count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"), [("no database " * 100, "not a database"), ("newer", "a newer Easel")]
)
async def test_a_file_that_is_not_ours_is_one_line_and_left_alone(
    at: Stage, content: str, says: str
) -> None:
    at.path.unlink()
    if content == "newer":
        with closing(sqlite3.connect(at.path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES ('9999')")
            database.commit()
    else:
        at.path.write_text(content)
    before = at.path.read_bytes()
    async with process(at) as bot:
        code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 2
    assert says in log_of(at)
    assert log_of(at).count("\n") == 1
    assert at.path.read_bytes() == before


async def test_a_key_with_a_line_break_is_one_line(at: Stage) -> None:
    async with process(at, OXEN_API_KEY="first-half\nsecond-half") as bot:
        code = await asyncio.wait_for(bot.ended(), 20)

    assert code == 2
    assert log_of(at).startswith("easel: OXEN_API_KEY has a space or a line break in it.")
    assert "half" not in log_of(at)
