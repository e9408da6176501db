"""The real bot between the stand-ins, an attacker and another member."""

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.demo.run import KEY, SKILLS_KEY, TOKEN, settings
from bot.sandbox.discord import Channel, FakeDiscord, Interaction, Upload, User
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from tests.benchmarks.hostile_meters import Meter, Outcome, resident
from tests.support.files import picture

T = TypeVar("T")

ENDING = "hare"  # in the prompts whose generations end; all others go on for ever
GENERATION_SECONDS = 1.0
QUIET_ROUNDS = 3
LONGEST_WAIT = 80.0  # seconds until a measurement is given up
RETRY_SECONDS = 2.0  # after a refusal
START_SECONDS = 60.0
AT_A_TIME = 10
CHECK_SECONDS = 0.05
STOP_SECONDS = 30.0


@dataclass
class Ground:
    """`ada` attacks in `art`; `ben` draws in `garden`, a channel of another server."""

    discord: FakeDiscord
    oxen: FakeOxen
    skills: FakeSkills
    folder: Path
    settings: Mapping[str, str]
    meter: Meter = field(init=False)
    _bot: BotProcess | None = None
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _numbers: "count[int]" = field(default_factory=count)
    _refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.art = self.discord.add_channel(self.discord.add_guild("Attacked"), "art")
        self.garden = self.discord.add_channel(self.discord.add_guild("Elsewhere"), "garden")
        self.ada = self.discord.add_user("Ada")
        self.ben = self.discord.add_user("Ben")
        self.meter = Meter(self.folder / "data" / "pictures")
        self.small = picture()

    @property
    def database(self) -> Path:
        return self.folder / "data" / "easel.db"

    @property
    def bot(self) -> BotProcess:
        if self._bot is None:
            raise RuntimeError("the bot is not running")
        return self._bot

    def memory(self) -> float:
        """Return the resident memory of the bot in MB."""
        return resident(self.bot.pid)

    async def start(self) -> None:
        """Start the bot, and wait for the connection."""
        environment = settings(self.discord, self.oxen, self.skills) | dict(self.settings)
        self._bot = await self._running.enter_async_context(run_bot(self.folder, environment))
        measuring = asyncio.create_task(self.meter.measure(self._bot.pid))
        self._running.push_async_callback(_cancel, measuring)
        await self.discord.connected(START_SECONDS)
        await self.discord.commands_registered(START_SECONDS)

    async def kill(self) -> None:
        """Kill the bot (`kill -9`) if it runs."""
        self._bot = None
        await self._running.aclose()
        await self.discord.disconnected()

    async def stop(self) -> float:
        """Stop the bot (SIGTERM), and return the seconds until its end; infinite if it goes on."""
        began = time.monotonic()
        self.bot.terminate()
        try:
            await asyncio.wait_for(self.bot.ended(), STOP_SECONDS)
            return time.monotonic() - began
        except TimeoutError:
            return math.inf
        finally:
            await self.kill()

    async def attack(
        self,
        prompt: str = "a wolf",
        files: Sequence[bytes] = (),
        *,
        by: User | None = None,
        **options: object,
    ) -> Interaction | None:
        """Send a request as the attacker; return None if the bot did not reply."""
        name = "edit" if files else "imagine"
        given: dict[str, object] = {"prompt": prompt, **options}
        for number, data in enumerate(files, start=1):
            given["image" if number == 1 else f"image{number}"] = Upload("a.bin", data)
        return await self.use(by or self.ada, self.art, name, given)

    async def use(
        self, user: User, channel: Channel, name: str, options: Mapping[str, object]
    ) -> Interaction | None:
        try:
            return await (await self.discord.command(user, channel, name, options)).answered()
        except TimeoutError:
            return None

    async def cancel(self, attacks: Sequence[Interaction | None]) -> None:
        """Cancel the jobs of the attacker that have a Cancel button."""
        ids = [job_id for each in attacks if each and (job_id := job_of(each))]
        await at_once(self.use(self.ada, self.art, "cancel", {"job": each}) for each in ids)

    async def draw(
        self,
        model: str,
        *,
        edit: bool = False,
        by: User | None = None,
        count: int = 1,
        patience: float = LONGEST_WAIT / 2,
    ) -> float:
        """Return the seconds from Ben's request to the picture; infinite if there is none.

        After a refusal, or without a reply, Ben asks again for `patience` seconds.
        """
        prompt = f"a {ENDING}, number {next(self._numbers):03},"
        given: dict[str, object] = {"prompt": prompt, "model": model, "count": count}
        if edit:
            given["image"] = Upload("garden.png", self.small)
        user, channel = (by, self.art) if by else (self.ben, self.garden)
        began = time.monotonic()
        while refusal := await self._refused(user, channel, "edit" if edit else "imagine", given):
            self._refusals.append(refusal)
            if time.monotonic() - began >= patience:
                return math.inf
            await asyncio.sleep(RETRY_SECONDS)
        try:
            await self.discord.wait_for_message(
                lambda message: bool(message.pictures()) and prompt in message.text(),
                LONGEST_WAIT,
                channel,
            )
        except TimeoutError:
            self._refusals.append(f"no picture within {LONGEST_WAIT:.0f} s")
            return math.inf
        return time.monotonic() - began

    async def _refused(
        self, user: User, channel: Channel, name: str, options: Mapping[str, object]
    ) -> str | None:
        """Send a request; return why there is no job, else None."""
        answered = await self.use(user, channel, name, options)
        if answered is None:
            return "no reply within 3 s"
        if job_of(answered) is None:
            return answered.message.text() if answered.message else "no message"
        return None

    async def quiet(self, model: str, *, edit: bool = False) -> float:
        """Return the median time of several pictures, and measure the peaks from here on."""
        await self.draw(model, edit=edit)  # warm up
        times = [await self.draw(model, edit=edit) for _ in range(QUIET_ROUNDS)]
        self.meter.reset()
        return statistics.median(times)

    def outcome(
        self,
        name: str,
        quiet: float,
        attacked: float,
        *,
        longest: float | None = None,
        note: str = "",
    ) -> Outcome:
        refusals, self._refusals = self._refusals, []
        violations = [*self.discord.violations, *self.oxen.violations, *self.skills.violations]
        return Outcome(
            name,
            quiet,
            attacked,
            self.meter.rss,
            self.meter.disk,
            keep_gb=float(self.settings.get("KEEP_GB", 20)),
            longest=longest,
            note="; ".join([note, *dict.fromkeys(refusals)]).strip("; "),
            violations=violations,
        )


def job_of(interaction: Interaction) -> str | None:
    """Return the id in the Cancel button of a reply; None for a refusal."""
    buttons = interaction.message.buttons() if interaction.message else []
    ids = [str(button["custom_id"]) for button in buttons]
    return next((each.rpartition(":")[2] for each in ids if ":cancel:" in each), None)


async def at_once(work: Iterable[Awaitable[T]]) -> list[T]:
    """Await all, some at a time: a burst of replies alone must not be the attack."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(each: Awaitable[T]) -> T:
        async with slots:
            return await each

    return list(await asyncio.gather(*map(one, work)))


def accepted(attacks: Sequence[Interaction | None]) -> str:
    texts = [each.message.text() for each in attacks if each and each.message]
    number = sum("Queued" in text or "Drawing" in text for text in texts)
    return f"{number} of {len(attacks)} requests accepted"


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


async def _end_generations(ground: Ground) -> None:
    """End the generations of Ben's prompts after a fixed time, for ever."""
    while True:
        for api in (ground.oxen, ground.skills):
            old = api.clock() - GENERATION_SECONDS
            for each in list(api.generations.values()):
                ends = ENDING in str(each.body["prompt"]) and each.enqueued_at <= old
                if ends and not each.settled and not each.finish_now:
                    api.finish(each.id)
        await asyncio.sleep(CHECK_SECONDS)


@asynccontextmanager
async def ground(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Ground]:
    discord = FakeDiscord(token=TOKEN)
    async with (
        discord,
        FakeOxen(key=KEY, generation_seconds=0.1, long_side=64) as oxen,
        FakeSkills(key=SKILLS_KEY, generation_seconds=0.1, long_side=64, permanent=10**9) as skills,
    ):
        oxen.hold_generations()
        skills.hold_generations()
        made = Ground(discord, oxen, skills, folder, environment)
        ending = asyncio.create_task(_end_generations(made))
        try:
            yield made
        finally:
            await _cancel(ending)
            await made.kill()
