"""Jobs that were changed by hand in a column that no other column explains."""

# ruff: noqa: S608  # the statements consist of this module's constants

from pathlib import Path

import pytest

from tests.support.books import DOUBTFUL, REFUSED, REPORTED, STOPPED, change, findings, of

CHANGES = [
    (
        "an end that is none",
        f"UPDATE generations SET state = 'lost' WHERE job_id = '{REPORTED}'",
        f"job {REPORTED}: has generation 1 with the end “lost”, which is none",
    ),
    (
        "a settlement at no time",
        f"UPDATE jobs SET settled_at = NULL WHERE id = '{REFUSED}'",
        f"job {REFUSED}: is failed without a time of settlement",
    ),
    (
        "a failure for no reason",
        f"UPDATE jobs SET reason = NULL WHERE id = '{REFUSED}'",
        f"job {REFUSED}: has failed without a reason",
    ),
    (
        "a generation of an unknown outcome that no loss reports",
        f"UPDATE generations SET job_id = '{DOUBTFUL}' WHERE job_id = '{STOPPED}'",
        f"job {DOUBTFUL}: has generations of an unknown outcome, and its losses contradict them",
    ),
    (
        "a loss for generations that were found, and there is none",
        f"UPDATE ledger SET reason = 'unknown outcome, found', amount = 7500 "
        f"WHERE {of(DOUBTFUL, 'loss')}",
        f"job {DOUBTFUL}: has generations of an unknown outcome, and its losses contradict them",
    ),
]


@pytest.mark.parametrize(
    ("script", "says"), [pytest.param(*plant[1:], id=plant[0]) for plant in CHANGES]
)
async def test_a_column_that_was_changed_by_hand_is_found(
    books: Path, script: str, says: str
) -> None:
    assert await findings(books) == []

    change(books, script)

    assert says in await findings(books)
