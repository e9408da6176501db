"""The errors of PostgreSQL and of the connection to it: an outage, a conflict, a wrong setting.

Only the first line of an error is shown: the others hold the values of rows.
"""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class NoConnection(ConnectionError):
    """A connection that the server or the driver refused; `sqlstate` is the server's, if any."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.sqlstate: str | None = getattr(error, "sqlstate", None)


FAILURES = (DBAPIError, PoolTimeoutError, OSError)  # of a statement or of a connection

CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# Classes of the server's states that a repetition may leave: connection, resources, an object that
# is in use, an operator, the server itself, a session that was ended, access.
OUTAGES = ("08", "53", "55", "57", "58", "25P03", "XX", "28", "3D")
READ_ONLY = "25006"  # in a transaction that writes: the server is a replica by now
UNSURE = ("08", "57", "40003")  # states after which a commit may have succeeded
REMEDIES = {
    "28": (
        "{label} refuses the user or the password",
        "Correct them in the address, and see the server's pg_hba.conf",
    ),
    "3D": (
        "{label} does not exist",
        "Create the database, with the encoding UTF8, or correct its name in the address",
    ),
    "42501": (
        "the user may not use all of {label}",
        "Make the user the owner of the database, or grant CREATE on the schema",
    ),
    "53": ("{label} has no room", "Look at the server's log: {summary}"),
    "57": ("{label} takes no connections", "Start the server, or wait until it has started"),
}


def state_of(error: BaseException) -> str | None:
    """Return the server's SQLSTATE; None if the error is not the server's."""
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None)
    return state if isinstance(state, str) else None


def is_conflict(error: BaseException) -> bool:
    """Return whether another transaction was in the way, so that a repetition may succeed."""
    return state_of(error) in CONFLICTS


def is_outage(error: BaseException) -> bool:
    """Return whether the statement was right, and the database could not execute it."""
    if not isinstance(error, DBAPIError):  # no answer, or no connection
        return True
    state = state_of(error)
    if state is None:  # the driver's own: the connection is closed, or a value has a wrong type
        cause = error.orig.__cause__ if error.orig else None
        return error.connection_invalidated or not isinstance(cause, ValueError)
    return state in CONFLICTS or state.startswith(OUTAGES)


def is_refused(error: BaseException) -> bool:
    """Return whether the server has surely not executed a commit."""
    state = state_of(error)
    return state is not None and not state.startswith(UNSURE)


def summary(error: BaseException) -> str:
    """Return the name of an error and its first line."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    cause = original.__cause__ if isinstance(error, DBAPIError) else None
    first = str(cause or original).partition("\n")[0]
    if isinstance(error, TimeoutError | PoolTimeoutError):
        first = "no answer in time"
    return first or type(cause or original).__name__


def explain(error: BaseException, label: str) -> str:
    """Return the line for the operator: the event, then the remedy."""
    state = state_of(error) or ""
    found = REMEDIES.get(state) or REMEDIES.get(state[:2])
    if found is None and not state:
        found = ("{label} cannot be reached: {summary}", "Start the server, or correct the address")
    if found is None:
        found = ("{label} cannot be used: {summary}", "Look at the server's log")
    values = {"label": label, "summary": summary(error)}
    return "DATABASE_URL: " + ". ".join(part.format(**values) for part in found) + "."
