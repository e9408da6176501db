"""The quotas that need no database: their boundaries, and the times in their sentences."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.quotas import (
    LOSS_WINDOW,
    MAX_LOSSES,
    Quotas,
    TooManyInputBytes,
    TooManyLosses,
    check_input_bytes,
)

QUOTAS = Quotas()
NOW = datetime(2026, 11, 26, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_member_waits_until_fewer_losses_are_within_the_hour() -> None:
    times = [NOW - timedelta(minutes=minutes) for minutes in (59, 50, 40, 30, 20, 10)]
    assert len(times) == MAX_LOSSES + 1

    with pytest.raises(TooManyLosses) as refused:
        QUOTAS.check_losses(times, NOW)
    # The second of the six has to leave the window: at 11:10:00.5 + 1 h, rounded up.
    assert f"<t:{int(datetime(2026, 11, 26, 12, 10, 1, tzinfo=UTC).timestamp())}:R>" in str(
        refused.value
    )
    assert str(refused.value).startswith("6 of your jobs")
    with pytest.raises(TooManyLosses):
        QUOTAS.check_losses(times, NOW + timedelta(minutes=10) - timedelta(microseconds=1))
    QUOTAS.check_losses(times, NOW + timedelta(minutes=10))


def test_four_losses_or_old_ones_are_allowed() -> None:
    QUOTAS.check_losses([NOW] * (MAX_LOSSES - 1), NOW)
    QUOTAS.check_losses([NOW - LOSS_WINDOW] * 9, NOW)


def test_the_bytes_of_a_day_are_used_to_the_last() -> None:
    check_input_bytes(399_999_995, 5, frees_at=NOW)
    with pytest.raises(TooManyInputBytes) as refused:
        check_input_bytes(399_999_995, 6, frees_at=NOW)

    assert f"<t:{int(NOW.timestamp()) + 1}:R>" in str(refused.value)
