"""The ids under which the rows of a member are found: the own one, and the pseudonym.

A member whose data was deleted may come back: what was used of a quota before counts on.
"""

from sqlalchemy import BigInteger, ColumnElement, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pseudonyms import Pseudonyms

OPTION = "pseudonyms"  # of the engines, as bot.store.database.Database sets it


def ids_of(connection: AsyncConnection, user_id: int) -> dict[str, int]:
    """Return the values for the parameters of `of_member`.

    Without a key, the pseudonym cannot be computed: the values are twice the own id.
    """
    opened = connection.sync_connection
    options = opened.get_execution_options() if opened else {}
    pseudonyms: Pseudonyms | None = options.get(OPTION)
    return {"user": user_id, "pseudonym": pseudonyms.of(user_id) if pseudonyms else user_id}


def of_member(column: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that a column is the id of the member, or the pseudonym."""
    return column.in_([bindparam(each, type_=BigInteger) for each in ("user", "pseudonym")])
