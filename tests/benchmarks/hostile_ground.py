"""The real bot between the stand-ins, an attacker, another member, and the meters beside them."""

import asyncio
import contextlib
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
from tests.support.files import picture

T = TypeVar("T")

ENDING = "hare"  # in the prompts whose generations end; all others go on for ever
GENERATION_SECONDS = 1.0
QUIET_ROUNDS = 3
LONGEST_WAIT = 100.0  # seconds until a measurement is given up
START_SECONDS = 60.0
AT_A_TIME = 10
SAMPLE_SECONDS = 0.05
STOP_SECONDS = 30.0
MB = 1_000_000
SLOWER = 2.0  # times the quiet time, at most
RSS_BOUND = 300.0  # MB
DISK_SLACK = 1.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one attack. Times are in seconds, infinite if given up or refused.

    `longest` is the bound of the attacked time, if that is not a multiple of the quiet one.
    """

    name: str
    quiet: float
    attacked: float
    rss: float  # MB, the peak of the bot and of its children
    disk: float  # MB, the peak of the pictures' folder
    keep_gb: float = 20.0
    longest: float | None = None
    note: str = ""
    violations: Sequence[str] = ()  # requests of the bot that break a rule of an API

    @property
    def ratio(self) -> float:
        return self.attacked / self.quiet

    @property
    def disk_bound(self) -> float:
        return self.keep_gb * 1000 * DISK_SLACK

    @property
    def broken(self) -> list[str]:
        """Return the kinds of bounds that are broken."""
        longest = self.quiet * SLOWER if self.longest is None else self.longest
        found = {
            "time": math.isinf(self.attacked) or self.attacked > longest,
            "RSS": self.rss > RSS_BOUND,
            "disk": self.disk > self.disk_bound,
            "violations": bool(self.violations),
        }
        return [kind for kind, broken in found.items() if broken]


@dataclass
class Meter:
    """The peaks of memory and disk since `reset`."""

    pictures: Path
    rss: float = 0.0
    disk: float = 0.0
    _pid: int | None = None

    def reset(self) -> None:
        self.rss = self.disk = 0.0
        if self._pid is not None:
            with contextlib.suppress(OSError):  # the process has ended
                Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # resets VmHWM

    async def measure(self, pid: int) -> None:
        """Sample until cancelled, or until the process ends.

        The kernel knows the peak of one process, also between two samples.
        """
        self._pid = pid
        for number in count():
            now = sum(resident(each) for each in family(pid))
            if not now:
                return
            self.rss = max(self.rss, now, resident(pid, "VmHWM"))
            if number % 4 == 0:
                self.disk = max(self.disk, await asyncio.to_thread(stored, self.pictures))
            await asyncio.sleep(SAMPLE_SECONDS)


def family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found += family(int(child))
    return found


def resident(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB; 0 if the process has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / MB
    return 0.0


def stored(folder: Path) -> float:
    """Return the size of all files in a folder in MB."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # retention has just removed the file
            total += path.stat().st_size if path.is_file() else 0
    return total / MB


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
        self, model: str, *, edit: bool = False, by: User | None = None, count: int = 1
    ) -> float:
        """Return the seconds from Ben's request to the picture; infinite if there is none."""
        prompt = f"a {ENDING}, number {next(self._numbers):03},"
        given: dict[str, object] = {"prompt": prompt, "model": model, "count": count}
        if edit:
            given["image"] = Upload("garden.png", self.small)
        user, channel = (by, self.art) if by else (self.ben, self.garden)
        began = time.monotonic()
        answered = await self.use(user, channel, "edit" if edit else "imagine", given)
        if answered is None:
            self._refusals.append("no reply within 3 s")
            return math.inf
        if job_of(answered) is None:
            self._refusals.append(answered.message.text() if answered.message else "no message")
            return math.inf
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
        violations = [*self.discord.violations, *self.oxen.violations, *self.skills.violations]
        return Outcome(
            name,
            quiet,
            attacked,
            self.meter.rss,
            self.meter.disk,
            keep_gb=float(self.settings.get("KEEP_GB", 20)),
            longest=longest,
            note="; ".join([note, *dict.fromkeys(self._refusals)]).strip("; "),
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
    number = sum(each is not None and job_of(each) is not None for each in attacks)
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
        await asyncio.sleep(SAMPLE_SECONDS)


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
