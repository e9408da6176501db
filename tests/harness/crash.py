"""The real bot as a process between the stand-ins, to be killed at any instant and restarted.

Members request pictures in a server, in a thread and in direct messages. `Arena` records each
request, so that tests.harness.verdict can check the outcome afterwards. Some requests repeat the
prompt of another: only the jobs' ids distinguish their results.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from bot.jobs import Job, JobStatus
from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.demo.run import KEY, SKILLS_KEY, TOKEN, settings
from bot.sandbox.discord import (
    Channel,
    ChannelKind,
    FakeDiscord,
    Interaction,
    MemberError,
    Upload,
    User,
)
from bot.sandbox.http.faults import Faults
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills
from bot.store import members
from bot.store.backends import open_database
from bot.store.database import Transaction
from tests.support.files import picture

MODELS = ("oxen", "skills")
# The charged price differs from the setting and from the price that the services announce.
OXEN_PRICE, OXEN_CHARGED, SKILLS_PRICE = "0.08", "0.061", 17
COST_DELAYS = (0.0, 0.0, 0.0, 1.0, 4.0)  # in seconds; Easel waits for up to 2.8, and polls later
COST_SECONDS = timedelta(seconds=60)  # after this time the estimate is final
MOST_JOBS = 5  # of one member at once: the default of MAX_JOBS
MOST_REQUESTS = 40  # of one member in all
REFUSED_WORD = "forbidden"
NO_MODEL_SHARE = 0.15  # share of the requests without a model
SEVERAL_SHARE = 0.4  # ... with more than one picture
REFUSED_SHARE = 0.04  # ... with a prompt that every service rejects
FAIL_SHARE = 0.06  # probability of a failed generation at each request
TWIN_SHARE = 0.2  # share of the requests that repeat a prompt
TWIN_DISTANCE = 6  # ... chosen among so many newest requests
RATIOS = ("1:1", "16:9", "3:4")
GENERATION_SECONDS = 0.3
START_SECONDS = 60.0
SETTLE_SECONDS = 120.0  # includes the searches after unknown outcomes
POLL_SECONDS = 0.1  # between two queries
MANY = 1_000_000


@dataclass(eq=False)
class Requested:
    """A request of a member. Another may have the same prompt, but not the same picture address."""

    prompt: str
    model: str | None  # None: chosen by Easel
    private: bool
    interaction: Interaction
    options: Mapping[str, object] = field(default_factory=dict)
    picture: bytes | None = None  # the input picture

    @property
    def count(self) -> int:
        return int(str(self.options.get("count", 1)))

    @property
    def job_id(self) -> str | None:
        """Return the id in the Cancel button; None if there is no button (any more)."""
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
    requested: list[Requested] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    log: list[Mapping[str, object]] = field(default_factory=list)  # log lines of earlier runs
    refused: set[str] = field(default_factory=set)  # paths with a definite refusal by Discord
    _open: Counter[User] = field(default_factory=Counter)  # requests whose jobs may be unsettled
    _asked: Counter[User] = field(default_factory=Counter)  # all requests
    _bot: BotProcess | None = None
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        server = self.discord.add_guild("Easel Test")
        channel = self.discord.add_channel(server, "art")
        thread = self.discord.add_channel(
            server, "owls", kind=ChannelKind.PUBLIC_THREAD, parent=channel
        )
        self.channels = (channel, thread)
        self.members = [self.discord.add_user(name) for name in ("Ada", "Ben", "Cleo")]

    @property
    def database(self) -> Path:
        return self.folder / "data" / "easel.db"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def faults(self) -> tuple[Faults, ...]:
        return (self.discord.faults, self.oxen.faults, self.skills.faults)

    def add_members(self, number: int) -> None:
        known = len(self.members)
        self.members += [self.discord.add_user(f"Member {known + each}") for each in range(number)]

    def ended(self, requested: Requested) -> None:
        """Count the job of a request as settled. `settled` counts all."""
        self._open[requested.interaction.user] -= 1

    def _member(self) -> User:
        """Return a member who is not refused: a new one if there is none.

        A member has fewer jobs than MAX_JOBS allows, and few in all: kills make unknown outcomes,
        and after five of them a member waits.
        """
        while not (free := [each for each in self.members if self._is_free(each)]):
            self.add_members(3)
        chosen = self.rng.choice(free)
        self._asked[chosen] += 1
        return chosen

    def _is_free(self, member: User) -> bool:
        return self._open[member] < MOST_JOBS and self._asked[member] < MOST_REQUESTS

    async def launch(self) -> BotProcess:
        """Start the bot's process if none runs, without waiting."""
        if self._bot is None:
            environment = settings(self.discord, self.oxen, self.skills) | {"LOG_FORMAT": "json"}
            self._bot = await self._running.enter_async_context(run_bot(self.folder, environment))
        return self._bot

    async def start(self) -> BotProcess:
        """Start the bot if none runs, and wait for the connection."""
        bot = await self.launch()
        await self.discord.connected(START_SECONDS)
        await self.discord.commands_registered(START_SECONDS)
        return bot

    async def kill(self) -> None:
        """Kill the bot now (`kill -9`), and read the log."""
        if self._bot is None:
            return
        self._bot = None
        await self._running.aclose()
        self.read_log("easel")
        await self.discord.disconnected()

    async def close(self) -> None:
        """Kill everything that runs."""
        await self.kill()

    async def remove_server(self) -> None:
        """Remove a database server, if the bot has one of its own."""

    def read_log(self, name: str) -> None:
        """Read the log of a process that has ended."""
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        self.log += [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def clear_faults(self) -> None:
        """Remove all faults, and release all held requests."""
        for faults in self.faults:
            faults.clear()
        for api in (self.oxen, self.skills):
            api.release_generations()
            api.runner.clear_failures()

    def hold_generations(self) -> None:
        self.oxen.hold_generations()
        self.skills.hold_generations()

    async def request(
        self,
        *,
        model: str | None = None,
        private: bool | None = None,
        edit: bool | None = None,
        by: User | None = None,
        plain: bool = False,
    ) -> Requested:
        """Use /imagine or /edit without waiting for the reply; arguments left out are random.

        With `plain`, the prompt is one that a service accepts.
        """
        rng = self.rng
        self.oxen.cost_delay = rng.choice(COST_DELAYS)
        user = by or self._member()
        self._open[user] += 1
        channel: Channel = rng.choice((*self.channels, self.discord.dm_channel(user)))
        private = rng.random() < 0.3 if private is None else private
        prompt, options, given = self._words(plain=plain)
        if given is None and (rng.random() < 0.25 if edit is None else edit):
            given = picture()
        if edit is False:
            given = None
        if model is None and rng.random() >= NO_MODEL_SHARE:
            model = rng.choice(MODELS)
        typed: dict[str, object] = {"prompt": prompt, "private": private, **options}
        if model is not None:
            typed["model"] = model
        if given is not None:
            typed["image"] = Upload("garden.png", given)
        interaction = await self.discord.command(
            user, channel, "edit" if given is not None else "imagine", typed
        )
        requested = Requested(prompt, model, private, interaction, options, given)
        self.requested.append(requested)
        return requested

    def _words(self, *, plain: bool) -> tuple[str, Mapping[str, object], bytes | None]:
        """Return prompt, options and input picture.

        They are new, copied from another request, or new except for the prompt.
        """
        rng = self.rng
        twin = (
            rng.choice(self.requested[-TWIN_DISTANCE:])
            if self.requested and rng.random() < TWIN_SHARE
            else None
        )
        if twin is not None and not (plain and REFUSED_WORD in twin.prompt):
            if rng.random() < 0.5:
                return twin.prompt, twin.options, twin.picture
            return twin.prompt, self._options(), None
        prompt = f"fox number {next(self.numbers):06}"
        if not plain and rng.random() < REFUSED_SHARE:
            prompt = f"{REFUSED_WORD} {prompt}"
        return prompt, self._options(), None

    def _options(self) -> Mapping[str, object]:
        rng = self.rng
        found: dict[str, object] = {}
        if rng.random() < SEVERAL_SHARE:
            found["count"] = rng.randint(1, 4)
        if rng.random() < 0.3:
            found["aspect_ratio"] = rng.choice(RATIOS)
        return found

    def maybe_fail(self) -> None:
        """Let the next generation of a service fail, with a small probability."""
        if self.rng.random() < FAIL_SHARE:
            self.rng.choice((self.oxen, self.skills)).fail_next()

    async def cancel(self, requested: Requested) -> None:
        """Cancel as the member, by the button or by /cancel, as soon as the reply is there."""
        with contextlib.suppress(TimeoutError):
            await requested.interaction.answered()
        message, job_id, user = (
            requested.interaction.message,
            requested.job_id,
            requested.interaction.user,
        )
        if message is None or job_id is None:
            return
        with contextlib.suppress(MemberError):  # the job has ended meanwhile
            if self.rng.random() < 0.5:
                await self.discord.click(user, message, f"easel:cancel:{job_id}")
            else:
                channel = requested.interaction.channel
                await self.discord.command(user, channel, "cancel", {"job": job_id})

    async def jobs(self, view: Transaction) -> list[Job]:
        return [
            job for member in self.members for job in await members.recent_of(view, member.id, MANY)
        ]

    async def settled(self, timeout: float = SETTLE_SECONDS) -> None:
        """Wait until every stored job is settled and delivered, and every pending cost is known.

        Raise TimeoutError with the remaining jobs. A request that is on the way has no row yet.
        """
        left: Sequence[Job] = ()
        for each in self.requested:
            with contextlib.suppress(TimeoutError):
                await each.interaction.answered()
        self.oxen.cost_delay = 0.0
        try:
            async with open_database(self.database_url) as database, asyncio.timeout(timeout):
                while True:
                    async with database.reading() as view:
                        left = [job for job in await self.jobs(view) if not _ended(job)]
                    if not left:
                        self._open.clear()
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise TimeoutError("\n".join(map(str, left))) from None


def _ended(job: Job) -> bool:
    if job.delivered_at is None or job.settled_at is None:
        return False
    cost_pending = job.estimated and datetime.now(UTC) - job.settled_at < COST_SECONDS
    return not (job.status is JobStatus.SUCCEEDED and cost_pending)


@asynccontextmanager
async def arena(
    folder: Path, seed: int, *, long_side: int = 64, kind: type[Arena] = Arena
) -> AsyncIterator[Arena]:
    # Unlimited, so that the many results of few channels arrive in time.
    discord = FakeDiscord(token=TOKEN, limit_messages=False)
    async with (
        discord,
        FakeOxen(
            key=KEY,
            generation_seconds=GENERATION_SECONDS,
            long_side=long_side,
            price=OXEN_PRICE,
            charged_price=OXEN_CHARGED,
        ) as oxen,
        FakeSkills(
            key=SKILLS_KEY,
            generation_seconds=GENERATION_SECONDS,
            long_side=long_side,
            price=SKILLS_PRICE,
            permanent=10**9,
            rejects="later",
        ) as skills,
    ):
        made = kind(discord, oxen, skills, folder, random.Random(seed))
        try:
            yield made
        finally:
            made.clear_faults()
            await made.close()
            await made.remove_server()
