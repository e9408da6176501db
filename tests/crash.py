"""The real bot as a process between the stand-ins, to be killed at any instant and started again.

Members ask for pictures in a server, in a thread and in direct messages; `Arena` remembers each
request, so that tests.verdict can tell afterwards what became of it.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bot.jobs import Job
from bot.sandbox.demo import KEY, SKILLS_KEY, TOKEN, settings
from bot.sandbox.demo_process import BotProcess, run_bot
from bot.sandbox.discord import (
    Channel,
    ChannelKind,
    FakeDiscord,
    Interaction,
    MemberError,
    Upload,
    User,
)
from bot.sandbox.faults import Faults
from bot.sandbox.oxen import FakeOxen
from bot.sandbox.skills import FakeSkills
from bot.store import jobs
from bot.store.database import Database, Transaction
from tests.files import picture

MODELS = ("oxen", "skills")
GENERATION_SECONDS = 0.3
START_SECONDS = 60.0
SETTLE_SECONDS = 120.0  # answers and submits in doubt take some of it
LOOK = 0.1  # seconds between two looks at the rows
MANY = 1_000_000
PICTURE = Upload("garden.png", picture())


@dataclass(eq=False)
class Asked:
    """One request of a member; its prompt is nobody else's."""

    prompt: str
    model: str
    private: bool
    interaction: Interaction

    @property
    def job_id(self) -> str | None:
        """As its Cancel button has it; None where there is no button (any more)."""
        message = self.interaction.message
        buttons = message.buttons() if message and not message.deleted else []
        ids = [str(button["custom_id"]) for button in buttons]
        return next((each.rpartition(":")[2] for each in ids if ":cancel:" in each), None)


@dataclass(eq=False)
class Arena:
    discord: FakeDiscord
    oxen: FakeOxen
    skills: FakeSkills
    folder: Path
    rng: random.Random
    asked: list[Asked] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    log: list[Mapping[str, object]] = field(default_factory=list)  # lines of the runs that ended
    _bot: BotProcess | None = None
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        server = self.discord.add_guild("Easel Test")
        channel = self.discord.add_channel(server, "art")
        thread = self.discord.add_channel(
            server, "owls", kind=ChannelKind.PUBLIC_THREAD, parent=channel
        )
        self.places = (channel, thread)
        self.members = [self.discord.add_user(name) for name in ("Ada", "Ben", "Cleo")]

    @property
    def database(self) -> Path:
        return self.folder / "data" / "easel.db"

    @property
    def faults(self) -> tuple[Faults, ...]:
        return (self.discord.faults, self.oxen.faults, self.skills.faults)

    def add_members(self, number: int) -> None:
        self.members += [self.discord.add_user(f"Member {each}") for each in range(number)]

    async def launch(self) -> BotProcess:
        """Start the bot's process, and wait for nothing; the one that runs where one does."""
        if self._bot is None:
            environment = settings(self.discord, self.oxen, self.skills) | {"LOG_FORMAT": "json"}
            self._bot = await self._running.enter_async_context(run_bot(self.folder, environment))
        return self._bot

    async def start(self) -> BotProcess:
        """Have the bot running and connected."""
        bot = await self.launch()
        await self.discord.connected(START_SECONDS)
        await self.discord.commands_registered(START_SECONDS)
        return bot

    async def kill(self) -> None:
        """`kill -9`, at this instant."""
        if self._bot is None:
            return
        self._bot = None
        await self._running.aclose()
        text = (self.folder / "easel.log").read_text(errors="replace")
        self.log += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        await self.discord.disconnected()

    def let_go(self) -> None:
        """Remove all faults, and release all that is held."""
        for faults in self.faults:
            faults.clear()
        self.oxen.release_generations()
        self.skills.release_generations()

    def hold_generations(self) -> None:
        self.oxen.hold_generations()
        self.skills.hold_generations()

    async def ask(
        self,
        *,
        model: str | None = None,
        private: bool | None = None,
        edit: bool | None = None,
        by: User | None = None,
    ) -> Asked:
        """Use /imagine or /edit; what is not given is left to chance. Waits for no answer."""
        rng = self.rng
        user = by or rng.choice(self.members)
        where: Channel = rng.choice((*self.places, self.discord.dm_channel(user)))
        model = model or rng.choice(MODELS)
        private = rng.random() < 0.3 if private is None else private
        edit = rng.random() < 0.25 if edit is None else edit
        prompt = f"fox number {next(self.numbers):06}"
        options: dict[str, object] = {"prompt": prompt, "model": model, "private": private}
        if edit:
            options["image"] = PICTURE
        interaction = await self.discord.command(
            user, where, "edit" if edit else "imagine", options
        )
        asked = Asked(prompt, model, private, interaction)
        self.asked.append(asked)
        return asked

    async def cancel(self, asked: Asked) -> None:
        """Cancel as its member, by the button or by /cancel, as soon as that is possible."""
        with contextlib.suppress(TimeoutError):
            await asked.interaction.answered()
        message, job_id, user = asked.interaction.message, asked.job_id, asked.interaction.user
        if message is None or job_id is None:
            return
        with contextlib.suppress(MemberError):  # it has ended meanwhile
            if self.rng.random() < 0.5:
                await self.discord.click(user, message, f"easel:cancel:{job_id}")
            else:
                where = asked.interaction.channel
                await self.discord.command(user, where, "cancel", {"job": job_id})

    async def jobs(self, view: Transaction) -> list[Job]:
        return [
            job for member in self.members for job in await jobs.recent_of(view, member.id, MANY)
        ]

    async def settled(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until every job that is stored is settled and delivered; TimeoutError names those
        that are not."""
        left: list[Job] = []
        try:
            async with Database(self.database) as database, asyncio.timeout(timeout):
                while True:
                    async with database.reading() as view:
                        left = [job for job in await self.jobs(view) if not job.delivered_at]
                    if not left:
                        return
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise TimeoutError("\n".join(map(str, left))) from None


@asynccontextmanager
async def arena(folder: Path, seed: int) -> AsyncIterator[Arena]:
    discord = FakeDiscord(token=TOKEN)
    async with (
        discord,
        FakeOxen(key=KEY, generation_seconds=GENERATION_SECONDS, long_side=64) as oxen,
        FakeSkills(
            key=SKILLS_KEY, generation_seconds=GENERATION_SECONDS, long_side=64, permanent=10**9
        ) as skills,
    ):
        made = Arena(discord, oxen, skills, folder, random.Random(seed))
        try:
            yield made
        finally:
            made.let_go()
            await made.kill()
