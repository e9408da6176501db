"""The audit of the sums that budgets are compared with: recomputed from the entries."""

from collections.abc import AsyncIterator

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.ledger import EntryKind, credits_text
from bot.store.audit.columns import LIMIT
from bot.store.audit.lines import Finding, raw
from bot.store.dialects import quarter
from bot.store.tables import ledger, sums

NOTHING: ColumnElement[int] = literal_column("0")
_begins_at = quarter(raw(ledger.c.counted_at).element).label("begins_at")
_counted = (
    select(
        ledger.c.provider,
        ledger.c.server_id,
        _begins_at,
        func.sum(raw(ledger.c.amount).element).label("amount"),
    )
    .where(ledger.c.kind != EntryKind.GRANT)
    .group_by(ledger.c.provider, ledger.c.server_id, _begins_at)
    .cte("counted")
)


def _of(scope: ColumnElement[str]) -> Select[tuple[str, object, int, object]]:
    return select(
        scope.label("scope"),
        _counted.c.begins_at,
        _counted.c.amount.label("right"),
        NOTHING.label("found"),
    )


_both = union_all(
    _of(literal("bot", String)),
    _of(literal("provider:", String) + _counted.c.provider),
    _of(literal("server:", String) + cast(_counted.c.server_id, String)),
    select(raw(sums.c.scope), raw(sums.c.begins_at), NOTHING, raw(sums.c.amount)),
).subquery()
# The database adds up, so that no more than the differences are in memory.
DIFFERENCES = (
    select(
        _both.c.scope,
        _both.c.begins_at,
        func.sum(_both.c.right).label("right"),
        func.sum(_both.c.found).label("found"),
    )
    .group_by(_both.c.scope, _both.c.begins_at)
    .having(func.sum(_both.c.right) != func.sum(_both.c.found))
    .order_by(_both.c.scope, _both.c.begins_at)
    .limit(LIMIT)
)


async def check_sums(view: AsyncConnection) -> AsyncIterator[Finding]:
    """Yield a finding for each quarter of an hour whose sum differs from that of its entries."""
    for row in await view.execute(DIFFERENCES):
        moment = str(row.begins_at)[:16]
        yield Finding(
            f"sum of {row.scope} at {moment}",
            f"is {_amount(row.found)} where {_amount(row.right)} is right",
        )


def _amount(value: object) -> str:
    return credits_text(round(float(str(value))))
