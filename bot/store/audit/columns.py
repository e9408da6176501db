"""The rules of columns that both kinds of databases share, and the names of rows in findings."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, Column, String, Table

from bot.errors import Reason
from bot.jobs import PictureKind
from bot.periods import PeriodKind
from bot.store.pictures import Role
from bot.store.tables import Plain, Utc, generations, job_pictures, jobs, ledger, pictures

LIMIT = 100  # findings of one check: a broken file has thousands
ABOUT = {ledger.name: "entry", jobs.name: "job", generations.name: "generation"}
WORDS: Mapping[Column[Any], type[StrEnum]] = {  # statuses and kinds: see `outcome` and `money`
    jobs.c.reason: Reason,
    jobs.c.allowance_period: PeriodKind,
    pictures.c.kind: PictureKind,
    job_pictures.c.role: Role,
}


def rule_of(column: Column[Any]) -> str:
    """Return the words about a value that breaks the rule of its column."""
    if column in WORDS:
        return f"none of the words that Easel stores in {column.table.name}"
    if isinstance(column.type, Utc):
        return "no time"
    if isinstance(column.type, JSON):
        return "no JSON"
    if isinstance(column.type, Boolean):
        return "neither 0 nor 1"
    if isinstance(column.type, String | Plain):
        return "no text of the right length"
    return "no integer"


def about(table: Table, keys: Iterable[object]) -> str:
    """Return the name of a row in findings."""
    key = ", ".join(str(key) for key in keys)
    return f"{ABOUT[table.name]} {key}" if table.name in ABOUT else f"row {key} of {table.name}"
