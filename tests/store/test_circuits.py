"""The states of the providers' circuits, as processes share them."""

from datetime import timedelta

from bot.health import Circuit, CircuitState
from bot.store import circuits
from bot.store.database import Database
from tests.support.rows import NOW

OPEN = CircuitState(Circuit.OPEN, NOW, NOW + timedelta(minutes=1), 3)


async def test_the_last_published_state_of_each_provider_is_read(database: Database) -> None:
    closed = CircuitState(Circuit.CLOSED, None, None, 0)
    async with database.transaction() as tx:
        await circuits.publish(tx, "one", {"oxen": closed, "skills": closed})
        await circuits.publish(tx, "another", {"oxen": OPEN})
    async with database.reading() as view:
        assert await circuits.read(view) == {"oxen": OPEN, "skills": closed}

    async with database.transaction() as tx:
        await circuits.publish(tx, "one", {"oxen": OPEN._replace(openings=4)})
        assert (await circuits.read(tx))["oxen"].openings == 4
