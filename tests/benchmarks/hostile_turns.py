"""Attacks by many jobs: everybody waits, unless the members take turns at every queue."""

from tests.benchmarks.hostile_ground import Ground, at_once
from tests.benchmarks.hostile_meters import Outcome

REFUSED = "forbidden wolf"  # a prompt that skills.video refuses at once
CREATED_SECONDS = 60.0


async def refused(at: Ground, *, small: bool) -> list[Outcome]:
    """Fail many jobs, whose failures wait for Discord's limit of messages in a channel."""
    await at.start()
    quiet = await at.quiet("oxen")
    number = 12 if small else 80
    await at_once(at.attack(REFUSED, model="skills") for _ in range(number))
    attacked = await at.draw("oxen")
    left = number - sum(
        "refused this prompt" in each.text() for each in at.discord.channel_messages(at.art)
    )
    return [at.outcome("refused jobs", quiet, attacked, note=f"{left} of {number} not shown yet")]


async def polls(at: Ground, *, small: bool) -> list[Outcome]:
    """Keep many jobs running at a service that has to be polled."""
    number = 60 if small else 500
    await at.start()
    quiet = await at.quiet("skills")
    before = len(at.skills.generations)
    await at_once(at.attack(model="skills") for _ in range(number))
    await at.skills.created(before + number, timeout=CREATED_SECONDS)
    attacked = await at.draw("skills")
    return [at.outcome("polled jobs", quiet, attacked, note=f"{number} jobs running")]
