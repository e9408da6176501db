"""The differences between SQLite and PostgreSQL, for statements that are built once for both.

A construct of this module renders another SQL text for each database.
"""

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FunctionElement,
    Table,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import Index
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NullType

__all__ = [
    "elements",
    "insert",
    "is_postgresql",
    "keep_row",
    "lock_quotas",
    "quarter",
    "replace_row",
    "violates",
]

POSTGRESQL = "postgresql"
QUOTAS = 0x6561_7365_6C_00  # the key of the advisory lock; any constant that only Easel uses


def keep_row(statement: Insert) -> Insert:
    """Insert nothing where a row with the same key exists.

    PostgreSQL's construct, which SQLite's compiler renders too; so it does that of `replace_row`.
    """
    return statement.on_conflict_do_nothing()


def replace_row(statement: Insert, table: Table) -> Insert:
    """Overwrite the other columns where a row with the same primary key exists."""
    keys = list(table.primary_key)
    others = {each.name: statement.excluded[each.name] for each in table.c if each not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


class elements(FunctionElement[Any]):  # noqa: N801  # named like SQL functions, as `func` has them
    """The elements of a JSON array of ids in a parameter, with the columns `key` and `value`."""

    name = "elements"
    inherit_cache = True
    type = NullType()

    def __init__(self, parameter: str) -> None:
        bound: BindParameter[str] = bindparam(parameter)
        super().__init__(bound)


@compiles(elements)
def _in_sqlite(element: elements, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"json_each({compiler.process(element.clause_expr.element, **options)})"


@compiles(elements, POSTGRESQL)
def _in_postgresql(element: elements, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    listed = compiler.process(element.clause_expr.element, **options)
    array = f"jsonb_array_elements_text(CAST({listed} AS JSONB))"
    return f"(SELECT ordinality - 1 AS key, value FROM {array} WITH ORDINALITY)"  # noqa: S608


class quarter(FunctionElement[Any]):  # noqa: N801  # as above
    """The quarter of an hour that a time is in, as the triggers of bot.store.tables.sums write it.

    The value has no type: text in SQLite, a time in PostgreSQL.
    """

    name = "quarter"
    inherit_cache = True
    type = NullType()

    def __init__(self, moment: ColumnElement[Any]) -> None:
        super().__init__(moment)


@compiles(quarter)
def _quarter_in_sqlite(element: quarter, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    minutes = f"printf('%02d', CAST(substr({moment}, 15, 2) AS INTEGER) / 15 * 15)"
    return f"(substr({moment}, 1, 14) || {minutes} || ':00.000000')"


@compiles(quarter, POSTGRESQL)
def _quarter_in_postgresql(element: quarter, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    moment = compiler.process(element.clauses, **options)
    return f"to_timestamp(floor(extract(epoch FROM {moment}) / 900) * 900)"


LOCK_QUOTAS = select(func.pg_advisory_xact_lock(QUOTAS))


async def lock_quotas(tx: AsyncConnection) -> None:
    """Let no other transaction hold credits before this one ends.

    Under READ COMMITTED, two requests that read the sums before either has written its hold would
    both take the last credit. SQLite's BEGIN IMMEDIATE has the same effect already. To be called
    before anything that a quota counts is read; a second call in a transaction costs nothing.
    """
    if not is_postgresql(tx) or tx.sync_connection is None:
        return
    begun, info = tx.sync_connection.get_transaction(), tx.sync_connection.info
    if info.get(QUOTAS) is not begun:
        await tx.execute(LOCK_QUOTAS)
        info[QUOTAS] = begun


def is_postgresql(connection: Connection | AsyncConnection) -> bool:
    """Return whether the connection is to PostgreSQL, else to SQLite."""
    return connection.dialect.name == POSTGRESQL


def violates(error: IntegrityError, unique: Index) -> bool:
    """Return whether a statement failed because of this unique index."""
    name = error.orig and getattr(error.orig.__cause__, "constraint_name", None)
    if name:
        return bool(name == unique.name)
    return all(str(column) in str(error.orig) for column in unique.columns)  # SQLite names these
