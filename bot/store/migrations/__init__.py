"""Alembic's folder: `versions/` holds one file a change, and a released one is never edited."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    return made


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database to `revision`, inside the transaction that `connection` is in."""
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, revision)


def stamp(connection: Connection, revision: str) -> None:
    """Record that the tables are those of `revision`, inside the transaction of `connection`."""
    made = config()
    made.attributes["connection"] = connection
    command.stamp(made, revision)
