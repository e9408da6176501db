"""The whole bot in this process, between the sandbox's Discord and image APIs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bot.app import App, open_app
from bot.config import Config
from bot.discord_session import DiscordSession
from bot.errors import StartupError
from bot.jobs import Job
from bot.ledger import EntryKind, LedgerEntry, balance
from bot.providers import PROVIDERS
from bot.providers.base import AnyEntry
from bot.sandbox.discord import (
    Channel,
    FakeDiscord,
    Guild,
    Interaction,
    Message,
    Upload,
    User,
)
from bot.sandbox.discord.changes import WAIT_SECONDS
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from bot.store import leases, ledger, members
from bot.store.audit import verify
from bot.store.backends import inspected, open_database
from bot.store.coordination import Duty, Role
from bot.store.database import Database
from bot.store.postgres_coordination import LOCKS, number
from bot.worker.worker import Worker
from tests.support.openapi import description

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
KEY = "oxen-key-of-the-tests"
SKILLS_KEY = "skills-key-of-the-tests"
EVENING = 22  # hour of the day (UTC); most tests move the time by less than two hours


class Clock:
    """The time for Easel and Discord: real time plus the moves of a test.

    In the last hours of a day it begins on the next one: no day and no month ends during a test.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(hours=3 if datetime.now(UTC).hour >= EVENING else 0)
        self.moved = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead + self.moved

    def seconds(self) -> float:
        return self().timestamp()

    def unmoved(self) -> float:
        """Return the seconds of the image services, which no move of a test changes."""
        return (datetime.now(UTC) + self._ahead).timestamp()

    def move(self, **by: float) -> None:
        self.moved += timedelta(**by)


@dataclass
class Stage:
    """Discord with a server, a channel and two members, both APIs, and Easel between them."""

    discord: FakeDiscord
    oxen: FakeOxen
    skills: FakeSkills
    folder: Path
    clock: Clock
    settings: Mapping[str, Any] = field(default_factory=dict)
    entries: Sequence[AnyEntry] = PROVIDERS  # a test may register more
    now: Callable[[], datetime] | None = None  # Easel's clock, if another than the sandbox's
    audited: bool = True  # at the end; false for a test that edits the database by hand
    postgres_url: str = ""  # of the database, if PostgreSQL's
    fails: bool = False  # true for a test of errors that Easel logs with a traceback

    def __post_init__(self) -> None:
        self.server: Guild = self.discord.add_guild("Easel Test")
        self.channel: Channel = self.discord.add_channel(self.server, "art")
        self.ada: User = self.discord.add_user("Ada")
        self.ben: User = self.discord.add_user("Ben")

    def app(self, *, role: Role = Role.ALL, **changes: object) -> AbstractAsyncContextManager[App]:
        """Return the bot, to be opened and run."""
        values = {
            "discord_token": TOKEN,
            "discord_api_url": self.discord.url,
            "oxen_api_key": KEY,
            "oxen_api_url": self.oxen.url,
            "skills_api_key": SKILLS_KEY,
            "skills_api_url": self.skills.url,
            "private_hosts": self.private_hosts,
            "database_url": self.database_url,
            # Processes that share a database share the pictures by an address.
            "pictures_url": f"file://{self.folder}/pictures" if self.postgres_url else None,
            "max_jobs": "unlimited",  # most tests need two members at most
            **self.settings,
            **changes,
        }
        config = Config.load(None, values, self.entries)
        return open_app(config, now=self.now or self.clock, role=role)

    @asynccontextmanager
    async def easel(self, **changes: object) -> AsyncIterator[App]:
        """Run the bot until the block ends; a second time on the same file is a restart.

        On PostgreSQL, the leases and duties of the former run have ended by then.
        """
        if self.postgres_url:
            await self._end_former_run()
        values: dict[str, Any] = changes
        async with self.app(**values) as app:
            running = asyncio.create_task(app.run())
            connected = asyncio.create_task(self.discord.connected())
            try:
                await asyncio.wait({running, connected}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    await running
                await self.discord.commands_registered()
                yield app
                if app.stopping:
                    await asyncio.wait_for(running, WAIT_SECONDS)
                assert app.stopping or not running.done(), running.exception()
            finally:
                connected.cancel()
                running.cancel()
                await asyncio.gather(running, connected, return_exceptions=True)

    async def _end_former_run(self) -> None:
        async with self.database() as database, database.transaction() as tx:
            for duty in Duty:
                await tx.execute(select(func.pg_advisory_xact_lock(LOCKS, number(duty))))
            await leases.clear(tx)

    @property
    def private_hosts(self) -> str:
        """The value of PRIVATE_HOSTS: the hosts of the stand-ins' pictures."""
        return f"{self.oxen.cdn_host},{self.skills.cdn_host}"

    @property
    def path(self) -> Path:
        """The database file; a test that uses it is SQLite's."""
        return self.folder / "easel.db"

    @property
    def database_url(self) -> str:
        return self.postgres_url or f"sqlite:///{self.path}"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Open the bot's database beside the bot."""
        async with open_database(self.database_url) as database:
            yield database

    async def imagine(
        self,
        prompt: str = "a fox in the snow",
        *,
        by: User | None = None,
        **options: Any,  # noqa: ANN401  # what a member may type
    ) -> Interaction:
        return await self.command("imagine", by=by, prompt=prompt, **options)

    async def command(
        self,
        name: str,
        *,
        by: User | None = None,
        where: Channel | None = None,
        user_install_only: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> Interaction:
        interaction = await self.discord.command(
            by or self.ada,
            where or self.channel,
            name,
            options,
            user_install_only=user_install_only,
        )
        return await interaction.answered()

    async def history(
        self,
        *,
        by: User | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Message:
        """Return the page of /history, which follows a deferral if there are pictures."""
        message = (await self.command("history", by=by, **options)).message
        assert message is not None
        return await self.discord.wait_for_message(lambda it: it is message and not it.loading)

    async def usage(self, *, by: User | None = None, where: Channel | None = None) -> Message:
        """Return the reply to /usage, which follows a deferral if there is a chart."""
        message = (await self.command("usage", by=by, where=where)).message
        assert message is not None
        assert message.ephemeral_to is (by or self.ada)
        return await self.discord.wait_for_message(lambda it: it is message and not it.loading)

    async def edit(
        self,
        *files: Upload,
        prompt: str = "make it blue",
        by: User | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Interaction:
        options["image"], *further = files
        options |= {f"image{number}": file for number, file in enumerate(further, start=2)}
        return await self.command("edit", by=by, prompt=prompt, **options)

    async def result(self, text: str, *, timeout: float = WAIT_SECONDS) -> Message:
        """Return the first message in the channel with pictures whose text contains `text`."""
        return await self.discord.wait_for_message(
            lambda message: bool(message.pictures()) and text in message.text(), timeout
        )

    async def said(self, text: str, *, timeout: float = WAIT_SECONDS) -> Message:
        return await self.discord.wait_for_message(
            lambda message: not message.deleted and text in message.text(), timeout
        )

    async def finish(self) -> None:
        """Finish all open generations at Oxen, for tests with `oxen.manual`."""
        for remote_id, generation in self.oxen.generations.items():
            if not generation.settled:
                self.oxen.finish(remote_id)
                await self.oxen.settled(remote_id)

    def created(self) -> list[Any]:
        """Return the bodies of all creating requests to Oxen."""
        return [
            request.body
            for request in self.oxen.requests
            if request.method == "POST" and request.path == "/api/ai/queue"
        ]

    async def jobs(self, user: User | None = None) -> list[Job]:
        """Return a member's stored jobs, newest first."""
        async with self.database() as database, database.reading() as view:
            return await members.recent_of(view, (user or self.ada).id, 100)

    async def balance(self, user: User | None = None) -> int:
        """Return the sum of a member's entries in thousandths of a credit."""
        async with self.database() as database, database.reading() as view:
            member = (user or self.ada).id
            found = await members.recent_of(view, member, 100)
            entries = [each for job in found for each in await ledger.entries_of(view, job.id)]
        return balance(each for each in entries if each.account.user_id == member)

    async def losses(self) -> list[LedgerEntry]:
        """Return the losses of Ada's jobs, newest job first."""
        async with self.database() as database, database.reading() as view:
            found = await members.recent_of(view, self.ada.id, 100)
            entries = [each for job in found for each in await ledger.entries_of(view, job.id)]
        return [each for each in entries if each.kind is EntryKind.LOSS]

    async def settled(self, count: int = 1, *, timeout: float = WAIT_SECONDS) -> list[Job]:
        """Wait until all of Ada's jobs are settled and delivered, at least `count` of them."""
        async with asyncio.timeout(timeout), self.database() as database:
            while True:
                async with database.reading() as view:
                    found = await members.recent_of(view, self.ada.id, 100)
                if len(found) >= count and all(job.delivered_at for job in found):
                    return found
                await asyncio.sleep(0.02)


def gateway_of(app: App) -> DiscordSession:
    """Return the connection of a process with a gateway."""
    assert isinstance(app.discord, DiscordSession)
    return app.discord


def worker_of(app: App) -> Worker:
    """Return the worker of a process that has one."""
    assert app.worker is not None
    return app.worker


async def registered(app: App) -> None:
    """Wait until the bot knows, and has noted, that Discord has the commands."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (client := gateway_of(app).client) is None or not client.commands_registered:
            await asyncio.sleep(0.02)


def text_of(interaction: Interaction) -> str:
    """Return the text of a private reply."""
    assert interaction.message is not None
    assert interaction.message.ephemeral_to is interaction.user
    return interaction.message.text()


# Discord waits 3 s for a reply. A test is not about that limit unless it sets the limit itself: on
# a loaded machine everything takes longer.
RESPONSE_SECONDS = 10.0


@asynccontextmanager
async def stage(
    folder: Path, *, postgres_url: str = "", **settings: object
) -> AsyncIterator[Stage]:
    clock = Clock()
    oracle = description()
    discord = FakeDiscord(
        limit_messages=False,  # tests of that limit switch it on
        response_seconds=RESPONSE_SECONDS,
        token=TOKEN,
        clock=clock.seconds,
        on_request=oracle.check if oracle else None,
    )
    async with (
        discord,
        FakeOxen(key=KEY, generation_seconds=0.1, clock=clock.unmoved) as oxen,
        FakeSkills(key=SKILLS_KEY, generation_seconds=0.1, clock=clock.unmoved) as skills,
    ):
        made = Stage(discord, oxen, skills, folder, clock, settings, postgres_url=postgres_url)
        with unforeseen_errors() as unforeseen:
            yield made
        assert made.fails or not unforeseen, unforeseen
        assert discord.violations == [], discord.violations
        assert oxen.violations == [], oxen.violations
        assert skills.violations == [], skills.violations
    if made.audited:
        await check_ledger(made.database_url)


@contextmanager
def unforeseen_errors() -> Iterator[list[str]]:
    """Yield the errors of jobs and interactions that nothing foresaw: a retry may hide them."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.name.startswith(("bot.worker", "bot.client", "cogs")):
                found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")

    collector = Collector(logging.ERROR)
    logging.getLogger().addHandler(collector)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(collector)


async def check_ledger(url: str) -> None:
    """Audit what a test has left in the database."""
    try:
        async with inspected(url) as database, database.reading() as view:
            found = await verify(view, Config.load(None, {}).charges())
    except StartupError:
        return  # a test about a file that is missing, or not Easel's
    findings = [str(each) for each in found.findings]
    assert not findings, findings
