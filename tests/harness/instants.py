"""The instants at which the bot is killed: how each is reached, from outside and by its traffic."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from bot.sandbox.http.faults import Fault, Faults, Hold, HoldBefore, HoldLost, Rule
from tests.harness.crash import MODELS, Arena, Asked

CALLBACK: Final = r"/api/v10/interactions/\d+/[^/]+/callback"
CHANNEL_POST: Final = r"/api/v10/channels/\d+/messages"
ANSWER_EDIT: Final = r"/api/v10/webhooks/\d+/[^/]+/messages/\d+"
ATTACHMENT: Final = r"/ephemeral-attachments/.+"
CREATING: Final = {"oxen": r"/api/ai/queue", "skills": r"/api/v1/generation/.+"}
PICTURE: Final = {"oxen": r"/api/repos/.+", "skills": r"/output/.+"}
OXEN_CANCEL: Final = r"/api/ai/queue/.+"

REACH_SECONDS: Final = 20.0
BACKGROUND: Final = 3  # requests beside the one that matters
RANDOM_SECONDS: Final = 2.5
START_SECONDS: Final = 1.5
SHUTDOWN_SECONDS: Final = 0.4
LATE: Final = 0.3  # of what is held at a kill, the share that goes on after the next start

When = Literal["before", "after"]
Reach = Callable[[Arena], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Held:
    """A request of the bot's is on its way: `before` the other side took it, or `after`."""

    method: str
    path: str | Mapping[str, str]  # by model, where it is an API's
    when: When
    private: bool | None = None
    edit: bool | None = None

    async def __call__(self, arena: Arena) -> None:
        model = arena.rng.choice(MODELS)
        await traffic(arena)
        rule = self.add_to(arena, model)
        await arena.ask(model=model, private=self.private, edit=self.edit, plain=True)
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
    """Some members ask for something, and some of them think better of it."""
    for _ in range(number):
        asked = await arena.ask()
        if arena.rng.random() < 0.25:
            await arena.cancel(asked)


async def running(arena: Arena) -> None:
    await traffic(arena)
    await drawing(arena, arena.rng.choice(MODELS))


async def private_result(when: When, arena: Arena) -> None:
    """The answer is edited once when its picture is begun, and again with the picture in it."""
    model = arena.rng.choice(MODELS)
    await drawing(arena, model, private=True)
    rule = Held("PATCH", ANSWER_EDIT, when).add_to(arena, model)
    arena.oxen.release_generations()
    arena.skills.release_generations()
    await rule.reached(REACH_SECONDS)


async def cancel_pressed(when: When, arena: Arena) -> None:
    asked = await drawing(arena, "oxen", private=False)
    rule = Held("POST", CALLBACK, when).add_to(arena, "oxen")
    await arena.cancel(asked)
    await rule.reached(REACH_SECONDS)


async def cancel_sent(when: When, arena: Arena) -> None:
    asked = await drawing(arena, "oxen")
    rule = Held("DELETE", {"oxen": OXEN_CANCEL}, when).add_to(arena, "oxen")
    await arena.cancel(asked)
    await rule.reached(REACH_SECONDS)


async def shutting_down(arena: Arena) -> None:
    await traffic(arena)
    bot = await arena.start()
    bot.terminate()
    await asyncio.sleep(arena.rng.random() * SHUTDOWN_SECONDS)


async def starting(arena: Arena) -> None:
    """While the rows of the runs before are taken up again."""
    await arena.kill()
    await arena.launch()
    await asyncio.sleep(arena.rng.random() * START_SECONDS)


async def at_random(arena: Arena) -> None:
    for _ in range(BACKGROUND * 2):
        arena.be_unlucky()
        await traffic(arena, 1)
    await asyncio.sleep(arena.rng.random() * RANDOM_SECONDS)


async def drawing(arena: Arena, model: str, *, private: bool | None = None) -> Asked:
    """A new request that its status message says is being drawn, and which does not end."""
    arena.hold_generations()
    asked = await arena.ask(model=model, private=private, plain=True)

    def shown() -> bool | None:
        message = asked.interaction.message
        return (message is not None and "Drawing" in message.text()) or None

    await arena.discord.world.changes.until(shown, REACH_SECONDS, "it is not being drawn")
    return asked


def api_faults(arena: Arena, model: str) -> Faults:
    return arena.oxen.faults if model == "oxen" else arena.skills.faults


NAMED: Final[Mapping[str, Reach]] = {
    "answer on its way": Held("POST", CALLBACK, "before"),
    "answered": Held("POST", CALLBACK, "after"),
    "input on its way": Held("GET", ATTACHMENT, "after", edit=True),
    "submit on its way": Held("POST", CREATING, "before"),
    "submitted": Held("POST", CREATING, "after"),
    "running": running,
    "cancel on its way": partial(cancel_sent, "before"),
    "canceled": partial(cancel_sent, "after"),
    "cancel pressed": partial(cancel_pressed, "before"),
    "cancel answered": partial(cancel_pressed, "after"),
    "picture on its way": Held("GET", PICTURE, "after"),
    "post on its way": Held("POST", CHANNEL_POST, "before", private=False),
    "posted": Held("POST", CHANNEL_POST, "after", private=False),
    "private result on its way": partial(private_result, "before"),
    "private result shown": partial(private_result, "after"),
    "shutting down": shutting_down,
    "starting": starting,
}
RANDOM: Final = "at random"
INSTANTS: Final[Mapping[str, Reach]] = {**NAMED, RANDOM: at_random}


async def kill_at(arena: Arena, name: str) -> bool:
    """Start the bot, bring it to the instant and kill it; whether it came to the instant.

    What was held is let go at once, or only when the next run has begun: a request may arrive
    long after the one who sent it is gone.
    """
    await arena.start()
    try:
        await INSTANTS[name](arena)
    except TimeoutError:
        return False
    finally:
        await arena.kill()
        if arena.rng.random() < LATE:
            await arena.start()
        arena.let_go()
    return True
