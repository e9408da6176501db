"""Generations of the image APIs, advanced by the event loop's time or by a test."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from bot.sandbox.drawing.draw import Format, draw
from bot.sandbox.imaging import Size

WAIT_SECONDS = 30.0  # as of bot.sandbox.discord.changes

State = Literal["queued", "processing", "succeeded", "failed", "cancelled"]

TERMINAL: Final[frozenset[State]] = frozenset({"succeeded", "failed", "cancelled"})
QUEUED_SHARE: Final = 0.25  # share of a generation's time
SPREAD: Final = 0.25  # relative variation of that time, by the request


class Failure(Exception):
    """The failure of a generation, with the API's own message and code."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """The parameters of a drawing: one picture for each seed."""

    prompt: str
    seeds: tuple[int, ...]
    size: Size
    inputs: tuple[bytes, ...] = ()
    format: Format = "png"


@dataclass(eq=False)
class FakeGeneration:
    """A piece of work at an image API. `body` is the request; times are those of the clock.

    `charged` is the final charge: dollars at Oxen, credits at skills.video.
    """

    id: str
    model: str
    body: dict[str, object]
    enqueued_at: float
    number: int  # order of creation, from 0
    pictures: int = 1
    queued: bool = True  # False: made by a synchronous call
    status: State = "queued"
    started_at: float | None = None
    completed_at: float | None = None
    failure: Failure | None = None
    charged: Decimal = Decimal(0)
    times_fetched: int = 0
    draw_request: DrawRequest | None = None
    planned_failure: Failure | None = field(default=None, repr=False)
    finish_now: bool = field(default=False, repr=False)
    drawn: dict[int, bytes] = field(default_factory=dict, repr=False)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)  # wakes its own task

    @property
    def settled(self) -> bool:
        return self.status in TERMINAL


def dice(*parts: object) -> int:
    """Return a number from 0 to 2147483647 that depends on the parts alone."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


class GenerationRunner:
    """Run one task for each generation.

    `prepare` checks the parameters, fetches the inputs and raises Failure; `on_end` is called with
    each settled generation.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float],
        prepare: Callable[[FakeGeneration], Awaitable[DrawRequest]],
        on_end: Callable[[FakeGeneration], None],
        violations: list[str],
    ) -> None:
        self.seconds = seconds
        self.generations: dict[str, FakeGeneration] = {}
        self._clock = clock
        self._prepare = prepare
        self._on_end = on_end
        self._violations = violations
        self._manual = False
        self._held = False
        self._closed = False
        self._planned_failures: list[Failure] = []
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def manual(self) -> bool:
        return self._manual

    @manual.setter
    def manual(self, on: bool) -> None:
        self._manual = on
        self._wake_all()

    def hold(self, *, on: bool) -> None:
        """Set whether generations are processed without an end."""
        self._held = on
        self._wake_all()

    def fail_next(self, failure: Failure, times: int) -> None:
        """Plan a failure for each of the next `times` generations, at the end of their run."""
        self._planned_failures += [failure] * times

    def clear_failures(self) -> None:
        """Cancel the planned failures of generations that were not created yet."""
        self._planned_failures.clear()

    def take(self, generation: FakeGeneration) -> None:
        """Start a generation."""
        self._add(generation)
        task = asyncio.create_task(self._live(generation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def take_at_once(self, generation: FakeGeneration) -> None:
        """Run a generation to the end before returning."""
        self._add(generation)
        self._move(generation, "processing")
        await self._work(generation)

    def advance(self, id: str, state: State) -> None:
        """Change the status now, regardless of the schedule.

        Raise ValueError if the generation is settled.
        """
        generation = self.generations[id]
        if generation.settled:
            raise ValueError(f"{id} is {generation.status} already")
        if state == "failed":
            generation.failure = generation.planned_failure or Failure("Generation failed")
        self._move(generation, state)

    def finish(self, id: str) -> None:
        """End a generation now, even while others are held."""
        generation = self.generations[id]
        generation.finish_now = True
        self._wake(generation)

    async def settle(self, id: str, timeout: float) -> FakeGeneration:
        """Wait for the end of a generation. Raise TimeoutError."""
        generation = self.generations[id]
        async with asyncio.timeout(timeout):
            await self._until(lambda: generation.settled)
        return generation

    async def count(self, number: int, timeout: float) -> list[FakeGeneration]:
        """Wait until `number` generations exist. Raise TimeoutError."""
        async with asyncio.timeout(timeout):
            await self._until(lambda: len(self.generations) >= number)
        return list(self.generations.values())

    async def changed(self) -> None:
        """Wait for the next change of any generation. Raise ConnectionError after `close`."""
        if self._closed:
            raise ConnectionError("the stand-in has stopped")
        self._changed.clear()
        await self._changed.wait()

    async def draw_request(self, generation: FakeGeneration) -> DrawRequest:
        """Return the parameters of the drawing, computed once. Raise Failure."""
        async with generation.lock:
            if generation.draw_request is None:
                generation.draw_request = await self._prepare(generation)
        return generation.draw_request

    async def picture(self, generation: FakeGeneration, index: int = 0) -> bytes:
        """Return a picture, drawn at the first request and stored for later ones."""
        draw_request = await self.draw_request(generation)
        async with generation.lock:
            if index not in generation.drawn:
                generation.drawn[index] = await asyncio.to_thread(
                    draw,
                    draw_request.prompt,
                    draw_request.seeds[index],
                    *draw_request.size,
                    inputs=draw_request.inputs,
                    format=draw_request.format,
                )
        return generation.drawn[index]

    async def close(self) -> None:
        """Cancel all tasks, and wake all waiters."""
        self._closed = True
        self._changed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, generation: FakeGeneration) -> None:
        if self._planned_failures:
            generation.planned_failure = self._planned_failures.pop(0)
        self.generations[generation.id] = generation
        self._changed.set()

    async def _live(self, generation: FakeGeneration) -> None:
        spread = dice(generation.body, generation.number) / 2**31
        seconds = self.seconds * (1 - SPREAD + 2 * SPREAD * spread)
        await self._pause(generation, seconds * QUEUED_SHARE, held=False)
        if generation.status == "queued":
            self._move(generation, "processing")
        if generation.status in ("failed", "cancelled"):
            return
        await self._work(generation, seconds * (1 - QUEUED_SHARE))

    async def _work(self, generation: FakeGeneration, seconds: float | None = None) -> None:
        try:
            await self.draw_request(generation)
            if seconds is not None and not generation.settled:
                await self._pause(generation, seconds, held=True)
            if generation.planned_failure is not None and not generation.settled:
                raise generation.planned_failure
        except Failure as failure:
            self._fail(generation, failure)
        if not generation.settled:
            self._move(generation, "succeeded")

    def _fail(self, generation: FakeGeneration, failure: Failure) -> None:
        if generation.status == "succeeded":
            self._violations.append(f"{generation.id} was made to succeed, but: {failure.message}")
        if not generation.settled:
            generation.failure = failure
            self._move(generation, "failed")

    async def _pause(self, generation: FakeGeneration, seconds: float, *, held: bool) -> None:
        """Wait until the time is up and nothing holds the generation, or until another change."""
        before = generation.status

        def free() -> bool:
            return generation.finish_now or generation.status != before

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not free():
                    generation.changed.clear()
                    await generation.changed.wait()
        while not free() and (self._manual or (held and self._held)):
            generation.changed.clear()
            await generation.changed.wait()

    def _wake(self, generation: FakeGeneration) -> None:
        """Wake the generation's own task, and whoever waits for any change.

        Not the tasks of all others: of ten thousand generations, each change would wake each task.
        """
        generation.changed.set()
        self._changed.set()

    def _wake_all(self) -> None:
        for generation in self.generations.values():
            self._wake(generation)

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self.changed()

    def _move(self, generation: FakeGeneration, state: State) -> None:
        now = self._clock()
        generation.status = state
        if state != "queued" and generation.started_at is None and state != "cancelled":
            generation.started_at = now
        if state in TERMINAL:
            generation.completed_at = now
            self._on_end(generation)
        self._wake(generation)


class GenerationControls:
    """The controls of a stand-in's generations, by which tests and the sandbox direct them."""

    runner: GenerationRunner

    @property
    def generations(self) -> dict[str, FakeGeneration]:
        """Return all generations by id."""
        return self.runner.generations

    @property
    def manual(self) -> bool:
        """Return whether generations change by `advance` and `finish` only."""
        return self.runner.manual

    @manual.setter
    def manual(self, on: bool) -> None:
        self.runner.manual = on

    def advance(self, id: str, state: State) -> None:
        """Change the status of a generation now. Raise ValueError if settled."""
        self.runner.advance(id, state)

    def finish(self, id: str) -> None:
        """End a generation soon; `settled` waits for the end."""
        self.runner.finish(id)

    def hold_generations(self) -> None:
        """Process generations without an end until `release_generations`."""
        self.runner.hold(on=True)

    def release_generations(self) -> None:
        self.runner.hold(on=False)

    async def settled(self, id: str, timeout: float = WAIT_SECONDS) -> FakeGeneration:
        return await self.runner.settle(id, timeout)

    async def created(self, number: int = 1, timeout: float = WAIT_SECONDS) -> list[FakeGeneration]:
        """Wait until `number` generations exist, and return all."""
        return await self.runner.count(number, timeout)
