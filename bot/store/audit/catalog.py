"""The audit of a PostgreSQL database as a whole: the schema, references, words and sequences.

The server holds the types of all values. A gap in the ids proves nothing here, because each
transaction that is rolled back leaves one.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.audit.columns import LIMIT, WORDS, about, rule_of
from bot.store.audit.lines import Finding
from bot.store.postgres_setup import FUNCTIONS, TRIGGERS
from bot.store.tables import RowId, ledger, metadata

CLOCK_ERROR = 3600  # seconds by which the clocks of processes, and of a machine, may differ
# Each query returns the parts of the schema that guard the rows, and the rule of each part.
SCHEMA = (
    "SELECT 'column ' || a.attrelid::regclass || '.' || a.attname, "
    "format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END "
    "FROM pg_attribute a "
    "WHERE a.attrelid::regclass::text = ANY(:tables) AND a.attnum > 0 AND NOT a.attisdropped",
    "SELECT CASE k.contype WHEN 'f' THEN 'foreign key ' WHEN 'c' THEN 'check ' ELSE 'unique ' END "
    "|| k.conrelid::regclass || ' (' || string_agg(a.attname, ', ' ORDER BY n.place) || ')', "
    "CASE k.contype WHEN 'f' THEN k.confrelid::regclass::text "
    "WHEN 'c' THEN pg_get_constraintdef(k.oid) ELSE '' END "
    "|| CASE WHEN k.convalidated THEN '' ELSE ' NOT VALID' END "
    "FROM pg_constraint k CROSS JOIN unnest(k.conkey) WITH ORDINALITY AS n(number, place) "
    "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number "
    "WHERE k.conrelid::regclass::text = ANY(:tables) AND k.contype IN ('p', 'u', 'f', 'c') "
    "GROUP BY k.oid",
    "SELECT 'unique ' || i.indrelid::regclass || ' (' "
    "|| string_agg(a.attname, ', ' ORDER BY n.place) || ')', "
    "coalesce(pg_get_expr(i.indpred, i.indrelid), '') "
    "|| CASE WHEN i.indisvalid THEN '' ELSE ' NOT VALID' END "
    "FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS n(number, place) "
    "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = n.number "
    "WHERE i.indrelid::regclass::text = ANY(:tables) AND i.indisunique "
    "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) "
    "GROUP BY i.indexrelid, i.indrelid, i.indpred, i.indisvalid",
    "SELECT 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass, "
    "pg_get_triggerdef(t.oid, true) || ': ' || p.prosrc "
    "|| CASE WHEN t.tgenabled IN ('O', 'A') THEN '' ELSE ' DISABLED' END "
    "FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE t.tgrelid::regclass::text = ANY(:tables) AND (NOT t.tgisinternal OR t.tgenabled = 'D')",
    "SELECT 'rule ' || r.rulename || ' on ' || r.ev_class::regclass, '' "
    "FROM pg_rewrite r WHERE r.ev_class::regclass::text = ANY(:tables)",
)
LAST_NUMBER = text(
    "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(:name, 'id')::regclass), 0)"
)


async def check_catalog(view: AsyncConnection) -> AsyncIterator[Finding]:
    """Yield all findings about the database as a whole."""
    for check in (_schema, _orphans, _words, _sequences, _disorder):
        for finding in await check(view):
            yield finding


async def _schema(view: AsyncConnection) -> list[Finding]:
    found: dict[str, str] = {}
    for query in SCHEMA:
        rows = await view.execute(text(query), {"tables": [*metadata.tables]})
        found |= {part: _comparable(part, rule) for part, rule in rows}
    right = dict(_right())
    return [
        *(
            Finding("schema", f"{part} is missing or changed")
            for part in sorted(right)
            if found.get(part) != right[part]
        ),
        *(Finding("schema", f"{part} is none of Easel's") for part in sorted({*found} - {*right})),
    ]


def _comparable(part: str, rule: str) -> str:
    """Return a rule in the form of `_right`: the server writes a check in words of its own."""
    if not part.startswith("check "):
        return " ".join(rule.split())
    words = sorted(re.findall(r"'([^']*)'", rule))
    return " ".join(words) if "= ANY" in rule and "NOT VALID" not in rule else rule


def _right() -> Iterator[tuple[str, str]]:
    for table in metadata.sorted_tables:
        for column in table.c:
            yield f"column {table.name}.{column.name}", _type(column)
        for constraint in table.constraints:
            names = ", ".join(each.name for each in constraint.columns)  # type: ignore[attr-defined]
            match constraint:
                case PrimaryKeyConstraint() | UniqueConstraint():
                    yield f"unique {table.name} ({names})", ""
                case ForeignKeyConstraint():
                    yield f"foreign key {table.name} ({names})", constraint.referred_table.name
                case CheckConstraint():
                    words = sorted(re.findall(r"'([^']*)'", str(constraint.sqltext)))
                    name = str(constraint.sqltext).partition(" ")[0]
                    yield f"check {table.name} ({name})", " ".join(words)
        for index in table.indexes:
            if index.unique:
                yield f"unique {table.name} ({', '.join(each.name for each in index.columns)})", ""
    for statement in TRIGGERS:
        if created := re.fullmatch(r"CREATE TRIGGER (\w+) .* ON (\w+) .*", statement):
            function = statement.rpartition(" ")[2].removesuffix("()")
            rule = f"{statement}: {FUNCTIONS[function]}"
            yield f"trigger {created[1]} on {created[2]}", " ".join(rule.split())


def _type(column: Column[object]) -> str:
    """Return the type of a column in the words of the server's format_type."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    name = column.type.compile(dialect=dialect).lower().replace("varchar", "character varying")
    return name if column.nullable else f"{name} NOT NULL"


async def _orphans(view: AsyncConnection) -> list[Finding]:
    """Find rows whose parent is missing, as after a restore with disabled triggers."""
    found: list[Finding] = []
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            if table is ledger:  # `verify` names such an entry with the job
                continue
            missing = key.parent.is_not(None) & ~exists().where(key.column == key.parent)
            rows = await view.execute(select(*table.primary_key).where(missing).limit(LIMIT))
            parent = key.column.table.name
            found += (
                Finding(about(table, row), f"belongs to a row of {parent} that is missing")
                for row in rows
            )
    return found


async def _words(view: AsyncConnection) -> list[Finding]:
    found: list[Finding] = []
    for column, words in WORDS.items():
        strange = column.not_in([str(word) for word in words])
        keys = column.table.primary_key
        rows = await view.execute(select(*keys).where(strange).limit(LIMIT))
        found += (
            Finding(about(column.table, row), f"{column.name} is {rule_of(column)}") for row in rows
        )
    return found


async def _sequences(view: AsyncConnection) -> list[Finding]:
    """Find a sequence that is behind its rows, as after a faulty copy: inserts would fail."""
    found: list[Finding] = []
    numbered: Mapping[str, Table] = {
        name: table for name, table in metadata.tables.items() if table.c[0].type is RowId
    }
    for name, table in numbered.items():
        given = (await view.execute(LAST_NUMBER, {"name": name})).scalar_one()
        last = select(func.coalesce(func.max(table.c.id), 0))
        newest = (await view.execute(last)).scalar_one()
        if newest > given:
            found.append(Finding(name, f"the sequence is at {given}, and the newest id {newest}"))
    return found


async def _disorder(view: AsyncConnection) -> list[Finding]:
    moment = func.extract("epoch", ledger.c.created_at)
    rows = select(
        ledger.c.id,
        func.lag(ledger.c.id).over(order_by=ledger.c.id).label("earlier"),
        (func.lag(moment).over(order_by=ledger.c.id) - moment).label("seconds"),
    ).subquery()
    found = await view.execute(select(rows).where(rows.c.seconds > CLOCK_ERROR).limit(LIMIT))
    return [
        Finding(f"entry {row.id}", f"has an earlier time than entry {row.earlier} before it")
        for row in found
    ]
