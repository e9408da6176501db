"""The instants at which the bot is killed, each reached from outside and by the bot's requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from bot.sandbox.http.faults import Fault, Faults, Hold, HoldBefore, HoldLost, Rule
from tests.harness.crash import MODELS, Arena, Requested

CALLBACK: Final = r"/api/v10/interactions/\d+/[^/]+/callback"
CHANNEL_POST: Final = r"/api/v10/channels/\d+/messages"
ANSWER_EDIT: Final = r"/api/v10/webhooks/\d+/[^/]+/messages/\d+"
ATTACHMENT: Final = r"/ephemeral-attachments/.+"
CREATING: Final = {"oxen": r"/api/ai/queue", "skills": r"/api/v1/generation/.+"}
PICTURE: Final = {"oxen": r"/api/repos/.+", "skills": r"/output/.+"}
OXEN_CANCEL: Final = r"/api/ai/queue/.+"

REACH_SECONDS: Final = 20.0
BACKGROUND: Final = 3  # requests in addition to the tested one
RANDOM_SECONDS: Final = 2.5
START_SECONDS: Final = 1.5
SHUTDOWN_SECONDS: Final = 0.4
# Share of the kills after which held requests continue only after the next start.
AFTER_START_SHARE: Final = 0.3

When = Literal["before", "after"]
Reach = Callable[[Arena], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Held:
    """A request of the bot in flight: `before` the other side handles the request, or `after`."""

    method: str
    path: str | Mapping[str, str]  # by model for the image APIs
    when: When
    private: bool | None = None
    edit: bool | None = None

    async def __call__(self, arena: Arena) -> None:
        model = arena.rng.choice(MODELS)
        await traffic(arena)
        rule = self.add_to(arena, model)
        await arena.request(model=model, private=self.private, edit=self.edit, plain=True)
        await rule.reached(REACH_SECONDS)

    def add_to(self, arena: Arena, model: str) -> Rule:
        if isinstance(self.path, str):
            return self.rule(arena, arena.discord.faults, self.path)
        return self.rule(arena, api_faults(arena, model), self.path[model])

    def rule(self, arena: Arena, faults: Faults, path: str) -> Rule:
        before: tuple[Fault, ...] = (HoldBefore(), HoldLost())
        fault = Hold() if self.when == "after" else arena.rng.choice(before)
        return faults.add(self.method, path, fault)


async def traffic(arena: Arena, number: int = BACKGROUND) -> None:
    """Send some requests, and cancel some of them."""
    for _ in range(number):
        requested = await arena.request()
        if arena.rng.random() < 0.25:
            await arena.cancel(requested)


async def running(arena: Arena) -> None:
    await traffic(arena)
    await drawing(arena, arena.rng.choice(MODELS))


async def private_result(when: When, arena: Arena) -> None:
    """Hold an edit of a private reply.

    The reply is edited twice: when the job starts to run, and with the picture.
    """
    model = arena.rng.choice(MODELS)
    await drawing(arena, model, private=True)
    rule = Held("PATCH", ANSWER_EDIT, when).add_to(arena, model)
    arena.oxen.release_generations()
    arena.skills.release_generations()
    await rule.reached(REACH_SECONDS)


async def cancel_pressed(when: When, arena: Arena) -> None:
    requested = await drawing(arena, "oxen", private=False)
    rule = Held("POST", CALLBACK, when).add_to(arena, "oxen")
    await arena.cancel(requested)
    await rule.reached(REACH_SECONDS)


async def cancel_sent(when: When, arena: Arena) -> None:
    requested = await drawing(arena, "oxen")
    rule = Held("DELETE", {"oxen": OXEN_CANCEL}, when).add_to(arena, "oxen")
    await arena.cancel(requested)
    await rule.reached(REACH_SECONDS)


async def shutting_down(arena: Arena) -> None:
    await traffic(arena)
    bot = await arena.start()
    bot.terminate()
    await asyncio.sleep(arena.rng.random() * SHUTDOWN_SECONDS)


async def starting(arena: Arena) -> None:
    """Kill while a restarted bot recovers the jobs of earlier runs."""
    await arena.kill()
    await arena.launch()
    await asyncio.sleep(arena.rng.random() * START_SECONDS)


async def at_random(arena: Arena) -> None:
    for _ in range(BACKGROUND * 2):
        arena.maybe_fail()
        await traffic(arena, 1)
    await asyncio.sleep(arena.rng.random() * RANDOM_SECONDS)


async def drawing(arena: Arena, model: str, *, private: bool | None = None) -> Requested:
    """Send a request whose status says Drawing, and which does not end."""
    arena.hold_generations()
    requested = await arena.request(model=model, private=private, plain=True)

    def shown() -> bool | None:
        message = requested.interaction.message
        return (message is not None and "Drawing" in message.text()) or None

    await arena.discord.world.changes.until(shown, REACH_SECONDS, "it is not being drawn")
    return requested


def api_faults(arena: Arena, model: str) -> Faults:
    return arena.oxen.faults if model == "oxen" else arena.skills.faults


NAMED: Final[Mapping[str, Reach]] = {
    "answer in flight": Held("POST", CALLBACK, "before"),
    "answered": Held("POST", CALLBACK, "after"),
    "input in flight": Held("GET", ATTACHMENT, "after", edit=True),
    "submit in flight": Held("POST", CREATING, "before"),
    "submitted": Held("POST", CREATING, "after"),
    "running": running,
    "cancel in flight": partial(cancel_sent, "before"),
    "canceled": partial(cancel_sent, "after"),
    "cancel pressed": partial(cancel_pressed, "before"),
    "cancel answered": partial(cancel_pressed, "after"),
    "picture in flight": Held("GET", PICTURE, "after"),
    "post in flight": Held("POST", CHANNEL_POST, "before", private=False),
    "posted": Held("POST", CHANNEL_POST, "after", private=False),
    "private result in flight": partial(private_result, "before"),
    "private result shown": partial(private_result, "after"),
    "shutting down": shutting_down,
    "starting": starting,
}
RANDOM: Final = "at random"
INSTANTS: Final[Mapping[str, Reach]] = {**NAMED, RANDOM: at_random}


async def kill_at(arena: Arena, name: str) -> bool:
    """Start the bot, bring the bot to the instant and kill it; return whether the instant was
    reached.

    Held requests are released at once, or only after the next start: a request may arrive long
    after the sender has ended.
    """
    await arena.start()
    try:
        await INSTANTS[name](arena)
    except TimeoutError:
        return False
    finally:
        await arena.kill()
        if arena.rng.random() < AFTER_START_SHARE:
            await arena.start()
        arena.clear_faults()
    return True
