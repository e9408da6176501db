"""A machine whose clock is wrong, or set while Easel runs."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bot.backoff import utc_now
from bot.clock import ClockWatch, SteadyClock
from bot.http_headers import parse_retry_after
from bot.sandbox.http.faults import Answer, Reset
from tests.support.easel import Stage

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
AHEAD = timedelta(minutes=20)


class Machine:
    """A clock that somebody sets."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def test_a_clock_that_is_set_moves_no_time_of_a_run() -> None:
    wall, elapsed = [NOON], [100.0]
    clock = SteadyClock(lambda: wall[0], lambda: elapsed[0])
    wall[0] += timedelta(days=3)
    elapsed[0] += 60

    assert clock() == NOON + timedelta(minutes=1)
    clock.follow(timedelta(seconds=9))  # within the tolerance
    assert clock() == NOON + timedelta(minutes=1)
    clock.follow(timedelta(minutes=20))
    assert clock() == NOON - timedelta(minutes=19)


def test_a_wait_until_a_date_counts_from_the_date_of_the_answer() -> None:
    """The year is long past for this machine."""
    until = format_datetime(NOON - timedelta(days=900), usegmt=True)
    answered = format_datetime(NOON - timedelta(days=900, seconds=90), usegmt=True)

    assert parse_retry_after(until, date=answered) == 90
    assert parse_retry_after(until, date="unreadable") == 0


def test_a_wrong_clock_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bot.clock")
    wall = [NOON]
    watch = ClockWatch(SteadyClock(lambda: wall[0], lambda: 0.0))

    def answers(number: int, late: float = 0.0) -> None:
        for _ in range(number):
            watch.note(format_datetime(NOON - timedelta(seconds=late), usegmt=True))

    answers(2, late=50)
    watch.note("no date")
    assert watch.machine_ahead is None  # too few answers so far
    answers(1)
    answers(3, late=50)  # answers that were long on their way
    assert caplog.messages == []
    answers(5)
    wall[0] += AHEAD
    answers(20)
    wall[0] -= 2 * AHEAD
    answers(20)
    wall[0] = NOON
    answers(20)

    assert caplog.messages == [
        "clock of this machine is 1200 s ahead of Discord's",
        "clock of this machine is 1200 s behind Discord's",
        "clock of this machine agrees with Discord's again",
    ]


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False], ids=["compared", "unknown at the start"])
@pytest.mark.parametrize("ahead", [AHEAD, -AHEAD], ids=["ahead", "behind"])
async def test_a_wrong_clock_changes_nothing_for_members(
    at: Stage, caplog: pytest.LogCaptureFixture, ahead: timedelta, known: bool
) -> None:
    if not known:
        at.discord.faults.add("GET", "/api/v10/gateway", Reset(), times=2)
    at.now = SteadyClock(Machine(ahead))
    async with at.easel() as app:
        private = await at.imagine("a hare", private=True)
        await at.imagine("a fox")
        await at.result("a fox")
        await at.settled(2)
        clock = (await app.report.report())[1]["clock"]

    assert private.message is not None
    assert private.message.pictures()  # by the reply, and not by a direct message
    assert private.message.ephemeral_to is at.ada
    assert not [m for m in at.discord.channel_messages(at.channel) if "Queued" in m.text()]
    expected = round(ahead.total_seconds())
    assert isinstance(clock, dict)
    assert abs(clock["machine_seconds_ahead"] - expected) <= 2
    assert abs(clock["run_seconds_ahead"] - (0 if known else expected)) <= 2
    side = "ahead of" if expected > 0 else "behind"
    assert f"s {side} Discord's" in caplog.text


PAGE = {"url": "wss://gateway.discord.test"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "followed"),
    [
        (200, PAGE, {}, timedelta(hours=5), True),
        (200, PAGE, {}, timedelta(days=1200), False),
        (200, PAGE, {}, -timedelta(days=1200), False),
        (200, PAGE, {"Age": "18000"}, timedelta(hours=5), False),
        (200, "<html>Sign in</html>", {}, timedelta(hours=5), False),
        (200, {"message": "Sign in"}, {}, timedelta(hours=5), False),
        (200, "[" * 5000, {}, timedelta(hours=5), False),
        (302, PAGE, {"Location": "/api/v10/gateway"}, timedelta(hours=5), False),
        (502, PAGE, {}, timedelta(hours=5), False),
    ],
    ids=str,
)
async def test_a_clock_follows_discord_alone_and_for_a_day_at_most(
    at: Stage,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: str | dict[str, object],
    headers: dict[str, str],
    error: timedelta,
    followed: bool,
) -> None:
    at.now = clock = SteadyClock()
    date = format_datetime(utc_now() + error, usegmt=True)
    at.discord.faults.add("GET", "/api/v10/gateway", Answer(status, body, headers | {"Date": date}))
    async with at.app():
        corrected = clock() - utc_now()

    assert abs(corrected - (error if followed else timedelta(0))) < timedelta(seconds=5)
    assert ("clock not corrected by more than a day" in caplog.text) is (abs(error).days > 1000)


@pytest.mark.parametrize("ahead", [AHEAD, -AHEAD], ids=["forwards", "backwards"])
async def test_a_clock_that_is_set_while_jobs_run(at: Stage, ahead: timedelta) -> None:
    machine = Machine()
    at.now = SteadyClock(machine)
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox")
        await at.said("Drawing")
        machine.ahead = ahead
        await asyncio.sleep(0.1)
        await at.finish()
        await at.result("a fox")
        (job,) = await at.settled()

    assert job.reason is None
