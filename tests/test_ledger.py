from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ledger import Cost, credits_text, thousandths
from bot.periods import Period, month_of


@pytest.mark.parametrize(
    ("amount", "text"),
    [(7500, "7.5"), (20_000, "20"), (-20_000, "-20"), (0, "0"), (1, "0.001"), (100_000, "100")],
)
def test_amounts_read_as_credits(amount: int, text: str) -> None:
    assert credits_text(amount) == text


@given(st.integers(-(10**12), 10**12))
def test_no_thousandth_is_lost_in_the_text(amount: int) -> None:
    assert thousandths(Decimal(credits_text(amount))) == amount


def test_half_a_thousandth_is_rounded_up() -> None:
    assert thousandths(Decimal("0.0005")) == 1


def test_the_month_is_the_one_in_utc() -> None:
    east = timezone(timedelta(hours=9))

    begin, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert month_of(datetime(2026, 12, 1, 3, tzinfo=east)) == Period(begin, end)
    new_year = datetime(2027, 1, 1, tzinfo=UTC)
    assert month_of(datetime(2026, 12, 31, 23, tzinfo=UTC)) == Period(end, new_year)


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2090, 1, 1)))  # noqa: DTZ001
def test_the_next_month_begins_right_after_this_one(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    month = month_of(aware)

    assert month.begin <= aware < month.end
    assert month_of(month.end - timedelta(microseconds=1)) == month
    assert month_of(month.end).begin == month.end


def test_costs_add_up_with_their_figures() -> None:
    total = Cost(7500, {"usd": "0.075"}) + Cost(7500, {"usd": "0.075"})

    assert total == Cost(15_000, {"usd": "0.150"})
