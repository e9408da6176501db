"""How the database reads what a hold is compared with."""

import re
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

from sqlalchemy.dialects import sqlite

from bot.store.balances import Level, figures


def test_open_generations_are_read_once_for_all_levels(empty_file: Path) -> None:
    """A hold would otherwise read the generations of thousands of jobs once for each level."""
    compiled = str(figures(frozenset(Level), frozenset()).compile(dialect=sqlite.dialect()))
    query = re.sub(r"\?|__\[\w+\]", "1", compiled)
    with closing(connect(empty_file)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert sum("ix_generations_open" in step for step in plan) == 1, plan
