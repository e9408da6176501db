"""An implementation of `Delivery` whose outcomes a test chooses.

`bot.delivery.Delivery` is the seam between the worker and Discord. The tests of the worker choose
outcomes there that Discord, and its stand-in, have after a lost connection or minutes of rate
limits only. The delivery of Discord itself has tests of its own, in `tests/cogs`, and both together
in `tests/worker/test_deliveries.py` and others that start Easel.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.delivery import UNKNOWN, NotDelivered, Receipt, Shown, Undeliverable, Wait
from bot.jobs import Job, Picture

SHOWN = Shown(50, 20)


@dataclass(frozen=True)
class Attempt:
    job: Job
    pictures: Sequence[Picture]
    missing: int
    again: bool
    waits: Callable[[], None]
    receipt: Receipt


@dataclass
class Outcomes:
    """A `Delivery`. Outcomes that are errors are raised.

    `attempts`, `edits`, `searches` and `removed` are the calls. `removing` is called in a removal.
    """

    shown: Shown | Undeliverable | Exception = SHOWN
    reply: int | Exception | None = None
    answers: bool = True
    copies: Sequence[str] | Exception = ()
    stuck: Collection[str] = ()  # jobs whose messages are not deleted
    limited: Mapping[int, float] = field(default_factory=dict)
    open: asyncio.Event = field(default_factory=asyncio.Event)  # until then, deliveries wait
    attempts: list[Attempt] = field(default_factory=list)
    edits: list[tuple[Job, Wait]] = field(default_factory=list)
    searches: list[Job] = field(default_factory=list)
    removed: list[Job] = field(default_factory=list)
    removing: Callable[[Job], None] = lambda _: None

    def __post_init__(self) -> None:
        self.open.set()

    async def show(self, job: Job, wait: Wait = UNKNOWN) -> bool:
        self.edits.append((job, wait))
        return self.answers

    async def copy_inputs(self, job: Job, pictures: Sequence[Picture]) -> Sequence[str]:
        if isinstance(self.copies, Exception):
            raise self.copies
        return self.copies

    async def find_reply(self, job: Job) -> int | None:
        self.searches.append(job)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def remove(self, job: Job) -> None:
        self.removed.append(job)
        self.removing(job)
        await self.open.wait()
        if job.id in self.stuck:
            raise NotDelivered("busy")

    def limited_channels(self) -> Mapping[int, float]:
        return self.limited

    async def deliver(
        self,
        job: Job,
        pictures: Sequence[Picture],
        *,
        missing: int,
        again: bool,
        waits: Callable[[], None],
        receipt: Receipt,
    ) -> Shown | Undeliverable:
        self.attempts.append(Attempt(job, pictures, missing, again, waits, receipt))
        await self.open.wait()
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown
