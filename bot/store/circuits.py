"""The providers' circuits as the processes share them: the last change of each."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.health import Circuit, CircuitState
from bot.store.dialects import insert, replace_row
from bot.store.tables import circuits

ALL = select(circuits)
PUBLISH = replace_row(insert(circuits), circuits)


async def read(connection: AsyncConnection) -> dict[str, CircuitState]:
    """Return the last published state of each provider."""
    return {
        row.provider: CircuitState(Circuit(row.state), row.outage_since, row.probe_at, row.openings)
        for row in await connection.execute(ALL)
    }


async def publish(tx: AsyncConnection, process: str, states: Mapping[str, CircuitState]) -> None:
    """Store states that a process has found, for the others."""
    await tx.execute(
        PUBLISH,
        [
            {
                "provider": provider,
                "state": state.circuit,
                "outage_since": state.outage_since,
                "probe_at": state.probe_at,
                "openings": state.openings,
                "changed_by": process,
            }
            for provider, state in states.items()
        ],
    )
