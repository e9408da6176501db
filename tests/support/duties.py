"""A process that shares its database with others, one of which has all duties."""

from dataclasses import replace

from bot.services import Services
from bot.store.coordination import Role
from bot.store.postgres_coordination import PostgresCoordination, Session


async def _away() -> Session:
    raise ConnectionRefusedError


def without_duties(services: Services) -> Services:
    return replace(services, coordination=PostgresCoordination(_away, Role.WORKER))
