"""The members, servers and stand-ins of a demonstration, and helpers for the steps."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from bot.sandbox.demo.process import BotProcess
from bot.sandbox.demo.transcript import Transcript
from bot.sandbox.discord import (
    Channel,
    FakeDiscord,
    Guild,
    Interaction,
    Message,
    Upload,
    User,
)
from bot.sandbox.generations import FakeGeneration
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.skills.server import FakeSkills

CREDITS_PER_USD: Final = 100  # the default of the bot's setting
WAIT_SECONDS: Final = 8.0  # shorter than a step, so that the failure names the missing event
# Markup to remove; of an escaped character, the character stays.
MARKS: Final = re.compile(
    r"\\(?P<literal>[^\w\s]|_)|<t:\d+:\w>|^(?:#+|-#|>|-) |[*`]"
    r"|\[(?=[^\]]*\]\(http)|\]\(http[^)]*\)",
    re.M,
)
BRIEF: Final = 96  # characters


class Unmet(Exception):
    """An expectation of a step failed."""

    def __init__(self, expected: str, seen: object) -> None:
        super().__init__(f"expected {expected}, saw {seen}")
        self.expected = expected
        self.seen = str(seen)


def expect(fact: object, expected: str, seen: object) -> None:
    """Raise Unmet if the fact is false."""
    if not fact:
        raise Unmet(expected, seen)


@dataclass
class Stage:
    """A server with one channel and two members, the stand-ins, and the bot between them."""

    discord: FakeDiscord
    oxen: FakeOxen
    skills: FakeSkills
    transcript: Transcript
    bot: BotProcess
    folder: Path
    server: Guild = field(init=False)
    channel: Channel = field(init=False)
    direct: Channel = field(init=False)  # direct messages between Ada and the bot
    ada: User = field(init=False)
    ben: User = field(init=False)

    def __post_init__(self) -> None:
        self.ada = self.discord.add_user("Ada")
        self.ben = self.discord.add_user("Ben")
        self.server = self.discord.add_guild("Easel Sandbox", owner=self.ada)
        self.channel = self.discord.add_channel(self.server, "art")
        self.direct = self.discord.dm_channel(self.ada)
        self.transcript.names |= {user.mention: user.name for user in (self.ada, self.ben)}

    async def use(
        self, user: User, command: str, *, where: Channel | None = None, **options: object
    ) -> Interaction:
        """Use a command as a member would, and wait for the bot's reply."""
        written = " ".join(f"{name}:{typed(value)}" for name, value in options.items())
        self.transcript.did(user.name, f"/{command} {written}".rstrip())
        interaction = await self.discord.command(user, where or self.channel, command, options)
        return await interaction.answered()

    async def reply_text(self, user: User, command: str) -> str:
        """Return the private reply to a command without options."""
        interaction = await self.use(user, command)
        message = reply_of(interaction)
        expect(message.ephemeral_to is user, f"a reply for {user.name} only", "a public message")
        return message.text()

    async def until(self, message: Message, fact: Callable[[Message], bool], what: str) -> None:
        """Wait until the message satisfies `fact`; `what` describes the failure."""
        await self.discord.world.changes.until(
            lambda: fact(message) or None, WAIT_SECONDS, f"{what}: {brief(message.text())}"
        )

    async def result_after(self, status: Message, user: User, *, pings: bool = True) -> Message:
        """Return the first message with pictures after the status message, for the member.

        With `pings`, the message pings the member.
        """

        def fits(message: Message) -> bool:
            later = message.id > status.id and bool(message.pictures())
            return later and (user.id in message.pings or not pings)

        try:
            return await self.discord.wait_for_message(fits, WAIT_SECONDS, self.channel)
        except TimeoutError:
            here = self.discord.channel_messages(self.channel, user)
            raise Unmet(f"pictures for {user.name}", brief(here[-1].text())) from None

    @contextmanager
    def oxen_slow(self) -> Iterator[None]:
        """Hold every generation at Oxen.ai until the block ends."""
        self.oxen.hold_generations()
        try:
            yield
        finally:
            self.oxen.release_generations()

    def generations(self, prompt: str | None = None) -> list[FakeGeneration]:
        """Return the generations at Oxen.ai, all or those of one prompt."""
        everything = self.oxen.generations.values()
        return [one for one in everything if prompt is None or one.body.get("prompt") == prompt]

    def charged(self, prompt: str | None = None) -> Decimal:
        """Return the charges of Oxen.ai in credits, for all prompts or for one."""
        charges = (one.charged for one in self.generations(prompt))
        return CREDITS_PER_USD * sum(charges, Decimal(0))

    def charged_by_skills(self, prompt: str | None = None) -> Decimal:
        """Return the charges of skills.video in credits, for all prompts or for one."""
        everything = self.skills.generations.values()
        fitting = (one for one in everything if prompt is None or one.body["prompt"] == prompt)
        return sum((one.charged for one in fitting), Decimal(0))


@dataclass(frozen=True)
class Step:
    """A titled part of the demonstration with a time limit in `seconds`."""

    title: str
    run: Callable[[Stage], Awaitable[None]]
    seconds: float = 10.0


def typed(value: object) -> object:
    """Return a value as a member would name it: a file or a member by the name."""
    if isinstance(value, User):
        return f"@{value.name}"
    return f"[{value.filename}]" if isinstance(value, Upload) else value


def reply_of(interaction: Interaction) -> Message:
    if interaction.message is None:
        raise Unmet("a message as the reply", interaction.response)
    return interaction.message


def unmarked(text: str) -> str:
    """Return the text as a reader sees it, without markup."""
    return MARKS.sub(lambda found: found["literal"] or "", text)


def brief(text: str) -> str:
    """Return the text as one short line without markup."""
    lines = unmarked(text).splitlines()
    line = " · ".join(" ".join(each.split()) for each in lines if each.strip())
    return line if len(line) <= BRIEF else f"{line[: BRIEF - 1].rstrip()}…"


def plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
