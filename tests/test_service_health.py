"""ServiceHealth without a network: when a provider is down, and when it is probed."""

from datetime import datetime, timedelta

import pytest

from bot.errors import ProviderError, Reason, Taken
from bot.health import (
    FAILURES,
    FAILURES_AFTER_PROBE,
    LONGEST_PAUSE,
    Cause,
    Circuit,
    ServiceHealth,
)
from tests.support.easel import Clock

UNAVAILABLE = ProviderError(Reason.UNAVAILABLE)
SECOND = timedelta(seconds=1)


class StillClock(Clock):
    """A clock that moves only by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.start = super().__call__()

    def __call__(self) -> datetime:
        return self.start + self.moved


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def health(clock: StillClock) -> ServiceHealth:
    return ServiceHealth(clock, {"oxen": "OXEN_API_KEY"})


def fail(health: ServiceHealth, times: int = FAILURES) -> None:
    """Let requests of different members fail."""
    for user_id in range(times):
        health.submitted("oxen", Cause(user_id), UNAVAILABLE)


def test_a_provider_is_down_after_failures_in_a_row(health: ServiceHealth) -> None:
    fail(health, FAILURES - 1)
    health.submitted("oxen", Cause(1))
    fail(health, FAILURES - 1)
    assert "oxen" not in health.down
    assert health.submit_slots("oxen") == 4

    health.submitted("oxen", Cause(FAILURES), UNAVAILABLE)
    assert health.down == {"oxen"}
    assert health.submit_slots("oxen") == 0
    assert "skills" not in health.down


@pytest.mark.parametrize("reason", [Reason.REJECTED, Reason.INVALID, Reason.AUTH, Reason.CREDITS])
def test_an_error_about_the_request_shows_that_the_service_works(
    health: ServiceHealth, reason: Reason
) -> None:
    for _ in range(10):
        fail(health, FAILURES - 1)
        health.submitted("oxen", Cause(1), ProviderError(reason))

    assert "oxen" not in health.down


@pytest.mark.parametrize(
    "causes",
    [
        [Cause(1)] * 9,
        [Cause(1, frozenset({str(number)})) for number in range(9)],
        [Cause(number, frozenset({"bad", str(number)})) for number in range(9)],
    ],
    ids=["member", "member with other pictures", "picture"],
)
def test_failures_of_one_member_or_one_input_count_once(
    health: ServiceHealth, clock: StillClock, causes: list[Cause]
) -> None:
    """A probe tells whether the service fails too; meanwhile nothing more is submitted."""
    for cause in causes[:2]:
        health.submitted("oxen", cause, UNAVAILABLE)
    assert health.due_probes() == []
    assert health.submit_slots("oxen") == 4
    for cause in causes[2:]:
        health.submitted("oxen", cause, UNAVAILABLE)

    assert "oxen" not in health.down
    assert health.submit_slots("oxen") == 0
    assert health.due_probes() == ["oxen"]
    health.probed("oxen")
    assert health.submit_slots("oxen") == 4
    assert health.due_probes() == []

    health.submitted("oxen", Cause(100, frozenset({"other"})), UNAVAILABLE)
    assert "oxen" not in health.down
    health.submitted("oxen", Cause(200), UNAVAILABLE)
    assert "oxen" in health.down


def test_a_failed_probe_after_failures_of_one_member_shows_an_outage(health: ServiceHealth) -> None:
    for _ in range(FAILURES):
        health.submitted("oxen", Cause(1), UNAVAILABLE)
    assert health.due_probes() == ["oxen"]
    health.probed("oxen", UNAVAILABLE)

    assert "oxen" in health.down


def test_a_rate_limit_is_never_the_fault_of_one_member(health: ServiceHealth) -> None:
    for _ in range(FAILURES):
        health.submitted("oxen", Cause(1), ProviderError(Reason.RATE_LIMITED))

    assert "oxen" in health.down


def test_one_member_does_not_open_the_half_open_circuit_again(
    health: ServiceHealth, clock: StillClock
) -> None:
    fail(health)
    clock.moved = 5 * SECOND
    health.due_probes()
    health.probed("oxen")
    for _ in range(9):
        health.submitted("oxen", Cause(1), UNAVAILABLE)
        for key in health.due_probes():
            health.probed(key)
    assert health.of("oxen").circuit is Circuit.HALF_OPEN
    assert "oxen" not in health.down

    health.submitted("oxen", Cause(2), UNAVAILABLE)
    assert "oxen" in health.down


def test_a_failure_of_a_request_sent_before_the_outage_postpones_no_probe(
    health: ServiceHealth, clock: StillClock
) -> None:
    fail(health)
    fail(health)
    clock.moved = 5 * SECOND

    assert health.due_probes() == ["oxen"]
    health.probed("oxen")
    health.submitted("oxen", Cause(9), UNAVAILABLE)  # counts from one again
    assert "oxen" not in health.down
    health.submitted("oxen", Cause(1))
    assert health.of("oxen").circuit is Circuit.CLOSED


def test_probes_become_rare_and_the_submits_afterwards_decide(
    health: ServiceHealth, clock: StillClock
) -> None:
    fail(health)
    clock.moved = 4 * SECOND
    assert health.due_probes() == []
    clock.moved = 5 * SECOND
    assert health.due_probes() == ["oxen"]
    assert health.due_probes() == []  # one at a time

    health.probed("oxen")
    assert "oxen" not in health.down
    assert health.has_outage("oxen")  # until the submit succeeds
    assert health.submit_slots("oxen") == 1
    fail(health, FAILURES_AFTER_PROBE)
    assert "oxen" in health.down
    clock.moved = 14 * SECOND
    assert health.due_probes() == []
    clock.moved = 15 * SECOND
    assert health.due_probes() == ["oxen"]

    health.probed("oxen")
    health.submitted("oxen", Cause(1))
    assert health.of("oxen").circuit is Circuit.CLOSED
    assert not health.has_outage("oxen")
    clock.move(days=1)
    assert health.due_probes() == []


def test_a_failed_probe_is_repeated_after_a_longer_wait(
    health: ServiceHealth, clock: StillClock
) -> None:
    fail(health)
    clock.moved = 5 * SECOND
    health.due_probes()
    health.probed("oxen", UNAVAILABLE)

    assert "oxen" in health.down
    assert health.submit_slots("oxen") == 0
    clock.moved = 14 * SECOND
    assert health.due_probes() == []
    clock.moved = 15 * SECOND
    assert health.due_probes() == ["oxen"]
    health.probed("oxen", ProviderError(Reason.AUTH))
    assert "oxen" not in health.down


def test_an_outage_that_answers_probes_is_one_outage(
    health: ServiceHealth, clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    fail(health)
    began = health.of("oxen").outage_since
    for _ in range(5):
        clock.move(minutes=1)
        assert health.due_probes() == ["oxen"]
        health.probed("oxen")
        assert health.outages == {"oxen"}
        fail(health, FAILURES_AFTER_PROBE)
    assert health.of("oxen").outage_since == began
    assert caplog.text.count("oxen is down") == 1
    assert "up again" not in caplog.text


def test_the_error_of_a_probe_does_not_undo_a_submit_that_succeeded_meanwhile(
    health: ServiceHealth, clock: StillClock
) -> None:
    fail(health)
    clock.moved = 5 * SECOND
    assert health.due_probes() == ["oxen"]
    health.submitted("oxen", Cause(1))  # it was on the way before the outage began
    health.probed("oxen", UNAVAILABLE)

    assert "oxen" not in health.down
    assert health.submit_slots("oxen") == 4


def test_a_query_makes_no_provider_known(health: ServiceHealth) -> None:
    assert "removed" not in health.down
    assert not health.has_outage("removed")
    assert health.submit_slots("removed") == 4
    assert health.known == ("oxen",)


def declined(reason: Reason, retry_after: float) -> ProviderError:
    return ProviderError(reason, "", Taken.NO, retry_after)


def failed(retry_after: float) -> ProviderError:
    """Return the error of a 5xx that one request may have caused."""
    return ProviderError(Reason.UNAVAILABLE, "", Taken.DOUBTFUL, retry_after)


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.UNAVAILABLE])
def test_a_pause_that_the_api_requests_is_respected(
    health: ServiceHealth, clock: StillClock, reason: Reason
) -> None:
    health.submitted("oxen", Cause(1), declined(reason, 40.0))

    assert "oxen" in health.down
    clock.moved = 39 * SECOND
    assert health.due_probes() == []
    clock.moved = 40 * SECOND
    assert health.due_probes() == ["oxen"]


def test_the_retry_after_of_one_members_failures_stops_nobody(health: ServiceHealth) -> None:
    health.submitted("oxen", Cause(1), failed(3600.0))
    assert "oxen" not in health.down
    assert health.submit_slots("oxen") == 4

    for _ in range(9):
        health.submitted("oxen", Cause(1), failed(3600.0))
    assert "oxen" not in health.down
    assert health.due_probes() == ["oxen"]  # at once, because nobody's job is submitted before


def test_the_retry_after_of_failures_that_count_lengthens_the_pause(
    health: ServiceHealth, clock: StillClock
) -> None:
    for user_id in range(FAILURES):
        health.submitted("oxen", Cause(user_id), failed(40.0))

    assert "oxen" in health.down
    clock.moved = 39 * SECOND
    assert health.due_probes() == []
    clock.moved = 40 * SECOND
    assert health.due_probes() == ["oxen"]


@pytest.mark.parametrize(
    ("reason", "longest"),
    [(Reason.UNAVAILABLE, LONGEST_PAUSE), (Reason.RATE_LIMITED, timedelta(hours=1))],
)
def test_only_a_rate_limit_pauses_for_long(
    health: ServiceHealth, clock: StillClock, reason: Reason, longest: timedelta
) -> None:
    """The answer to a submit and the answer to a probe have the same bound."""
    health.submitted("oxen", Cause(1), declined(reason, 3600.0))
    for _ in range(2):
        clock.moved += longest - SECOND
        assert health.due_probes() == []
        clock.moved += SECOND
        assert health.due_probes() == ["oxen"]
        health.probed("oxen", declined(reason, 3600.0))


def test_a_refusal_for_the_operator_is_an_error_once_until_a_picture_is_made(
    health: ServiceHealth, caplog: pytest.LogCaptureFixture
) -> None:
    def errors() -> int:
        return sum(record.levelname == "ERROR" for record in caplog.records)

    for _ in range(3):
        health.refused("oxen", Reason.AUTH, "invalid key")
    assert errors() == 1
    health.refused("oxen", Reason.CREDITS, "")
    assert errors() == 2
    health.made_picture("oxen")
    health.refused("oxen", Reason.AUTH, "invalid key")
    assert errors() == 3
    assert "OXEN_API_KEY" in caplog.text
