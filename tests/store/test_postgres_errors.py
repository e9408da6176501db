"""Errors of a PostgreSQL server and of its driver: what each means for a caller and an operator."""

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.store.postgres_errors import (
    NoConnection,
    explain,
    is_conflict,
    is_outage,
    is_refused,
    state_of,
    summary,
)

LABEL = "host:5432/easel"


class Raised(Exception):
    """An error as the driver raises it, with the server's state."""

    def __init__(self, text: str, state: object = None) -> None:
        super().__init__(text)
        self.sqlstate = state


def of_statement(
    state: object = None,
    text: str = "first line\nDETAIL: a secret",
    *,
    cause: BaseException | None = None,
    invalidated: bool = False,
) -> DBAPIError:
    original = Raised(text, state)
    original.__cause__ = cause
    return DBAPIError("SELECT 1", {}, original, connection_invalidated=invalidated)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (of_statement("40001"), "40001"),
        (of_statement(None), None),
        (of_statement(40001), None),
        (Raised("a", "57P03"), "57P03"),
        (NoConnection(Raised("a", "28P01")), "28P01"),
        (NoConnection(ValueError("a")), None),
        (OSError("a"), None),
    ],
)
def test_the_state_is_that_of_the_server(error: BaseException, state: str | None) -> None:
    assert state_of(error) == state


@pytest.mark.parametrize(
    ("error", "conflict", "outage"),
    [
        (of_statement("40001"), True, True),
        (of_statement("40P01"), True, True),
        *(
            (of_statement(state), False, True)
            for state in ("08006", "53300", "55P03", "57014", "58030", "25P03", "XX000", "3D000")
        ),
        *(
            (of_statement(state), False, False)
            for state in ("23505", "22P02", "25006", "25001", "42P01", "40002")
        ),
        (OSError("refused"), False, True),
        (TimeoutError(), False, True),
        (PoolTimeoutError(), False, True),
        (NoConnection(Raised("a", "53300")), False, True),
        # Without a state: the driver's own.
        (of_statement(), False, True),
        (of_statement(cause=ConnectionError("closed")), False, True),
        (of_statement(cause=ValueError("too large")), False, False),
        (of_statement(cause=ValueError("too large"), invalidated=True), False, True),
        (DBAPIError("SELECT 1", {}, None), False, True),  # type: ignore[arg-type]
    ],
)
def test_an_outage_is_no_mistake_of_the_statement(
    error: BaseException, conflict: bool, outage: bool
) -> None:
    assert is_conflict(error) is conflict
    assert is_outage(error) is outage


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        *((state, False) for state in (None, "08003", "08006", "57P01", "57014", "40003")),
        *((state, True) for state in ("40001", "40P01", "23505", "53100", "25P03", "XX000")),
    ],
)
def test_a_commit_is_refused_only_by_the_word_of_the_server(
    state: str | None, refused: bool
) -> None:
    assert is_refused(of_statement(state)) is refused
    assert not is_refused(OSError("reset"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (of_statement("23505"), "first line"),
        (of_statement(None, "wrapped", cause=ValueError("the cause\nand more")), "the cause"),
        (of_statement(None, "", cause=ConnectionResetError()), "ConnectionResetError"),
        (of_statement(None, ""), "Raised"),
        (OSError("refused\nand more"), "refused"),
        (OSError(), "OSError"),
        (NoConnection(Raised("no room\nand more")), "no room"),
        (TimeoutError("anything"), "no answer in time"),
        (PoolTimeoutError("anything"), "no answer in time"),
    ],
)
def test_a_summary_is_the_first_line(error: BaseException, text: str) -> None:
    assert summary(error) == text


def test_the_summary_of_an_error_has_no_cause_but_that_of_a_statement() -> None:
    error = OSError("refused")
    error.__cause__ = ValueError("another")
    assert summary(error) == "refused"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            NoConnection(Raised("a", "28P01")),
            "host:5432/easel refuses the user or the password. Correct them in the address, and "
            "see the server's pg_hba.conf.",
        ),
        (
            of_statement("42501"),
            "the user may not use all of host:5432/easel. Make the user the owner of the database, "
            "or grant CREATE on the schema.",
        ),
        (
            of_statement("53300", "too many clients\nDETAIL: a secret"),
            "host:5432/easel has no room. Look at the server's log: too many clients.",
        ),
        (
            of_statement("42P01", "no such table\nDETAIL: a secret"),
            "host:5432/easel cannot be used: no such table. Look at the server's log.",
        ),
        (
            of_statement("3D000"),
            "host:5432/easel does not exist. Create the database, with the encoding UTF8, or "
            "correct its name in the address.",
        ),
        (
            NoConnection(Raised("a", "57P03")),
            "host:5432/easel takes no connections. Start the server, or wait until it has started.",
        ),
        (
            OSError("refused"),
            "host:5432/easel cannot be reached: refused. Start the server, or correct the address.",
        ),
    ],
)
def test_an_explanation_is_one_line_with_the_remedy(error: BaseException, says: str) -> None:
    assert explain(error, LABEL) == f"DATABASE_URL: {says}"
