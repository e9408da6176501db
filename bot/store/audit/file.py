"""The audit of the file: what SQLite checks, the schema, the types of all values, deleted rows."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    case,
    create_engine,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.audit.columns import LIMIT, WORDS, about, rule_of
from bot.store.audit.lines import Finding, raw
from bot.store.tables import (
    Plain,
    Utc,
    changes,
    generations,
    jobs,
    ledger,
    metadata,
)

# A machine's clock may be set back a little; an entry is stored up to a minute after its time.
CLOCK_ERROR = 1 / 24  # days


async def check_file(view: AsyncConnection) -> AsyncIterator[Finding]:
    """Yield all findings about the file as a whole."""
    checks = (_integrity, _schema_findings, _missing_parents, _types, _gaps, _disorder)
    for check in checks:
        for finding in await check(view):
            yield finding


async def _integrity(view: AsyncConnection) -> list[Finding]:
    rows = (await view.execute(text(f"PRAGMA integrity_check({LIMIT})"))).all()
    return [Finding("file", str(row[0])) for row in rows if row[0] != "ok"]


async def _missing_parents(view: AsyncConnection) -> list[Finding]:
    rows = (await view.execute(text("PRAGMA foreign_key_check"))).all()
    return [
        Finding(f"row {row[1]} of {row[0]}", f"belongs to a row of {row[2]} that is missing")
        for row in rows[:LIMIT]
        if row[0] != ledger.name  # `verify` names such an entry with the job
    ]


# The schema: a trigger or a constraint that is gone lets through any later change.

SCHEMA = (
    "SELECT 'column ' || m.name || '.' || c.name || ' ' || c.type || "
    "CASE WHEN c.\"notnull\" THEN ' NOT NULL' ELSE '' END "
    "FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'",
    "SELECT 'unique ' || table_name || ' (' || group_concat(name, ', ') || ')' FROM "
    "(SELECT m.name AS table_name, l.name AS index_name, i.name AS name FROM sqlite_master m, "
    "pragma_index_list(m.name) l, pragma_index_info(l.name) i "
    "WHERE m.type = 'table' AND l.\"unique\" ORDER BY m.name, l.name, i.seqno) "
    "GROUP BY table_name, index_name",
    "SELECT 'foreign key ' || m.name || '.' || f.\"from\" || ' to ' || f.\"table\" "
    "FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
    "SELECT 'trigger ' || name || ' on ' || tbl_name || ': ' || sql FROM sqlite_master "
    "WHERE type = 'trigger'",
)
TABLES = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")


def _schema(connection: SyncConnection) -> frozenset[str]:
    """Return every part of the schema that guards the rows, one line for each."""
    parts = [str(row[0]) for query in SCHEMA for row in connection.execute(text(query))]
    for (sql,) in connection.execute(TABLES):
        plain = " ".join(str(sql).split())
        parts += (
            f"check {name}: {rule}"
            for name, rule in re.findall(r"CONSTRAINT \"?(\w+)\"? CHECK \((.*?\))\)", plain)
        )
    of_sqlite = re.compile(r"(column|unique|foreign key) sqlite_")  # as ANALYZE makes
    return frozenset(" ".join(part.split()) for part in parts if not of_sqlite.match(part))


@cache
def _migrated() -> frozenset[str]:
    """Return the schema that the migrations make, in memory."""
    from bot.store.migrations import upgrade  # costs a fifth of a second, as in bot.store.database

    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection)
            return _schema(connection)
    finally:
        engine.dispose()


async def _schema_findings(view: AsyncConnection) -> list[Finding]:
    right = await asyncio.to_thread(_migrated)
    found = await view.run_sync(_schema)
    missing, foreign = sorted(right - found), sorted(found - right)
    return [
        *(Finding("schema", f"{_short(part)} is missing or changed") for part in missing),
        *(Finding("schema", f"{_short(part)} is none of Easel's") for part in foreign),
    ]


def _short(part: str) -> str:
    return part.partition(":")[0]


# The types: SQLite stores any value in any column.


async def _types(view: AsyncConnection) -> list[Finding]:
    tables = [await _types_of(view, table) for table in metadata.sorted_tables]
    return [finding for of_table in tables for finding in of_table]


async def _types_of(view: AsyncConnection, table: Table) -> list[Finding]:
    rows = (await view.execute(_wrong_rows(table))).all()
    keys = len(table.primary_key)
    return [
        Finding(about(table, row[:keys]), f"{column.name} is {rule_of(column)}")
        for row in rows
        for column, found in zip(table.c, row[keys:], strict=True)
        if found
    ]


@cache
def _wrong_rows(table: Table) -> Select[Any]:
    """Select the key of each row that has a wrong value, and of each column whether it has one."""
    wrong = [not_(func.coalesce(_right(column), literal_column("0"))) for column in table.c]
    keys = [raw(column) for column in table.primary_key]
    found = select(*keys, *(case((each, literal_column("1"))) for each in wrong))
    return found.where(or_(*wrong)).limit(LIMIT)


def _right(column: Column[Any]) -> ColumnElement[bool]:
    """Return an expression that is true for the values that Easel stores in a column."""
    value = raw(column).element
    kind = func.typeof(value)
    rules: list[ColumnElement[bool]] = []
    if isinstance(column.type, String | Plain | JSON | Utc):
        rules.append(kind == "text")
        if isinstance(column.type, Utc):
            day, seconds = func.substr(value, 1, 10), func.substr(value, 1, 19)
            rules.append(func.strftime("%Y-%m-%d %H:%M:%S", value) == seconds)
            rules.append(func.date(day, "+0 days") == day)  # no 30 February
        elif isinstance(column.type, JSON):
            rules.append(func.json_valid(value) == 1)
        elif column.type.length:
            rules.append(func.length(value) <= column.type.length)
    else:
        rules.append(kind == "integer")
        if isinstance(column.type, Boolean):
            rules.append(value.in_((0, 1)))
    if column in WORDS:
        rules.append(value.in_([str(word) for word in WORDS[column]]))
    right = and_(*rules)
    return or_(kind == "null", right) if column.nullable else right


# Deleted rows: Easel deletes none of these, and SQLite numbers a new row by the greatest id + 1.


async def _gaps(view: AsyncConnection) -> list[Finding]:
    # VACUUM may number the rows of `jobs` again, but never the rows of the others.
    numbers: tuple[tuple[Table, Column[Any], ColumnElement[int]], ...] = (
        (ledger, ledger.c.id, ledger.c.id),
        (generations, generations.c.id, generations.c.id),
        (changes, changes.c.id, changes.c.id),
        (jobs, jobs.c.id, literal_column("rowid")),
    )
    found: list[Finding] = []
    for table, name, number in numbers:
        before = func.lag(number, 1, 0).over(order_by=number)
        rows = select(name.label("name"), number.label("number"), before.label("before")).subquery()
        gaps = select(rows).where(rows.c.number != rows.c.before + 1).limit(LIMIT)
        found += (_gap(table, *row) for row in await view.execute(gaps))
    # The ledger's numbers are never used again, so that the newest ones leave a gap too.
    last = select(func.coalesce(func.max(ledger.c.id), 0)).scalar_subquery()
    given = text("SELECT seq FROM sqlite_sequence WHERE name = 'ledger'")
    missing = ((await view.execute(given)).scalar() or 0) - (
        await view.execute(select(last))
    ).scalar_one()
    if missing > 0:
        found.append(Finding("ledger", f"the newest {missing} entries are missing"))
    return found


def _gap(table: Table, name: object, number: int, before: int) -> Finding:
    missing = number - before - 1
    rows = "row that was stored before is" if missing == 1 else "rows that were stored before are"
    return Finding(about(table, [name]), f"{missing} {rows} missing")


async def _disorder(view: AsyncConnection) -> list[Finding]:
    day = func.julianday(raw(ledger.c.created_at).element)
    rows = select(
        ledger.c.id,
        func.lag(ledger.c.id).over(order_by=ledger.c.id).label("earlier"),
        (func.lag(day).over(order_by=ledger.c.id) - day).label("days"),
    ).subquery()
    found = await view.execute(select(rows).where(rows.c.days > CLOCK_ERROR).limit(LIMIT))
    return [
        Finding(f"entry {row.id}", f"has an earlier time than entry {row.earlier} before it")
        for row in found
    ]
