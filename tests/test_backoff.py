from datetime import timedelta

from bot.backoff import Backoff, Retries

SECOND = timedelta(seconds=1)
BACKOFF = Backoff(first=SECOND, longest=10 * SECOND)


def test_waits_double_up_to_the_longest() -> None:
    waits = [BACKOFF.wait(attempt) for attempt in range(1, 7)]

    assert waits == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND]
    assert BACKOFF.wait(10**6) == 10 * SECOND
    assert Backoff(first=SECOND / 10, longest=SECOND).wait(1) == SECOND / 10


def test_a_wait_is_no_shorter_than_the_pause_that_is_requested() -> None:
    assert BACKOFF.wait(1, retry_after=0.5) == SECOND
    assert BACKOFF.wait(1, retry_after=7) == 7 * SECOND
    assert BACKOFF.wait(6, retry_after=60) == 60 * SECOND


def test_attempts_are_counted_for_each_piece_of_work_until_its_end() -> None:
    retries = Retries(BACKOFF)

    assert [retries.wait("a"), retries.wait("a"), retries.wait("b")] == [SECOND, 2 * SECOND, SECOND]
    retries.end("a")
    retries.end("a")
    assert retries.wait("a") == SECOND
    assert retries.wait("b", retry_after=7) == 7 * SECOND


def test_the_attempts_that_are_counted_are_bounded() -> None:
    retries = Retries(BACKOFF)
    retries.wait("first")
    retries.wait("second")
    retries.wait("first")
    for number in range(Retries.COUNTED - 1):
        retries.wait(str(number))

    assert retries.wait("first") == 4 * SECOND
    assert retries.wait("second") == SECOND
