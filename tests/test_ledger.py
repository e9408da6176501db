from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ledger import (
    AmountText,
    Cost,
    credits_text,
    share_of_cost,
    share_of_grants,
    thousandths,
)
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
    assert Cost(1, {"total": "2"}) + Cost(3, {"usd": "0.5"}) == Cost(
        4, {"total": "2", "usd": "0.5"}
    )


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1000, "1 credit"), (1001, "1.001 credits"), (0, "0 credits"), (-1000, "-1 credits")],
)
def test_just_one_credit_is_singular(amount: int, text: str) -> None:
    assert str(AmountText(amount)) == text


@pytest.mark.parametrize(
    ("price", "left", "share"),
    [
        (20, None, 0),  # no limit
        (20, 21, 0),
        (20, 20, 0),
        (20, 19, 1),
        (20, 1, 19),
        (20, 0, 20),
        (20, -5, 20),  # a cost has exceeded its price
        (0, -5, 0),
    ],
)
def test_grants_pay_what_the_allowance_does_not_cover(
    price: int, left: int | None, share: int
) -> None:
    assert share_of_grants(price, left) == share


@pytest.mark.parametrize(
    ("cost", "share"),
    [(0, 0), (11, 0), (12, 0), (13, 1), (19, 7), (20, 8), (21, 8), (100, 8)],
)
def test_what_is_left_of_a_hold_goes_back_to_the_grants_first(cost: int, share: int) -> None:
    """Of the price of 20, grants have paid 8 and the allowance 12."""
    assert share_of_cost(cost, price=20, granted=8) == share


def test_a_cost_takes_nothing_from_grants_that_have_paid_nothing() -> None:
    assert share_of_cost(25, price=20, granted=0) == 0
