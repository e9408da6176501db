"""What a manager may type in /credits: amounts, and ids of jobs."""

from pathlib import Path

import pytest

from bot.quotas import Member
from bot.store.database import Database
from bot.studio.credit_rules import NoSuchJobHere
from bot.studio.credits import ServerCredits
from bot.studio.setting_input import AmountUnread, read_amount
from tests.support.rows import NOW
from tests.support.services import services_on

MANAGER = Member(9, server_id=10, may_manage=True)


@pytest.mark.parametrize("typed", ["10²", "5₂", "①"])
def test_a_raised_digit_is_no_further_digit(typed: str) -> None:
    with pytest.raises(AmountUnread):
        read_amount(typed)


def test_a_wide_digit_is_a_digit() -> None:
    assert read_amount("１２") == 12_000


@pytest.mark.parametrize("job_id", ["", "a\0", "\ud800", "a" * 17, "'"])
async def test_a_text_that_is_no_id_names_no_job(
    database: Database, tmp_path: Path, job_id: str
) -> None:
    credits = ServerCredits(services_on(database, tmp_path, lambda: NOW))
    with pytest.raises(NoSuchJobHere):
        await credits.refund(MANAGER, job_id)
