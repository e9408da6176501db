"""ServiceHealth: which image APIs are down. Everybody who needs to know reads it here.

Creating requests decide, by one circuit breaker for each provider: after failures in a row nothing
more is submitted, so that jobs wait in the queue and are not lost one by one. A request may fail by
its own fault: the failures of one member, and those of one input picture, count once. The answers
to all requests are noted beside it for `/healthz`. A restart finds an outage again. Processes that
share a database share the states of the circuits (bot.worker.circuits).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from bot.backoff import Backoff
from bot.errors import ProviderError, Reason, Taken

log = logging.getLogger(__name__)

FAILURES = 3  # in a row, of as many causes, that open the circuit; of fewer, that start a probe
FAILURES_AFTER_PROBE = 2  # of as many causes, that open the half-open circuit again
PROBES = Backoff(first=timedelta(seconds=5), longest=timedelta(minutes=1))
LONGEST_PAUSE = timedelta(minutes=5)  # before a probe, that any error but a rate limit can ask for
OUTAGE = frozenset({Reason.UNAVAILABLE, Reason.TIMEOUT, Reason.MALFORMED})
# Errors about the request alone: the service works.
OF_THE_REQUEST = frozenset({Reason.REJECTED, Reason.INVALID, Reason.NOT_FOUND})
REMEDIES = {
    Reason.AUTH: "does not accept {key}: create a new key, or check the account's plan",
    Reason.CREDITS: "has no credits left: buy credits there",
}


class Circuit(StrEnum):
    CLOSED = "closed"  # the service works
    OPEN = "open"  # nothing is submitted until a probe, which costs nothing, is answered
    HALF_OPEN = "half open"  # the probe was answered: one submit at a time decides


SLOTS = {Circuit.CLOSED: 4, Circuit.HALF_OPEN: 1, Circuit.OPEN: 0}


class CircuitState(NamedTuple):
    """The part of a provider's health that all processes share."""

    circuit: Circuit = Circuit.CLOSED
    outage_since: datetime | None = None
    probe_at: datetime | None = None  # while closed: the provider is suspected
    openings: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of a failed request besides the service: the member, or an input's SHA-256."""

    user_id: int
    inputs: frozenset[str] = frozenset()

    def shares_with(self, other: "Cause") -> bool:
        """Return whether both requests may have failed for the same reason."""
        return self.user_id == other.user_id or bool(self.inputs & other.inputs)


@dataclass(slots=True)
class Service:
    """The health of one provider. `outage_since` is None unless an outage lasts."""

    circuit: Circuit = Circuit.CLOSED
    outage_since: datetime | None = None
    probe_at: datetime | None = None
    probing: bool = False
    failures: int = 0  # in a row since the last probe
    causes: list[Cause] = field(default_factory=list)  # of failures in a row that count
    openings: int = 0
    last_good: datetime | None = None
    last_error: Reason | None = None
    failing_since: datetime | None = None  # the first error after the last good answer
    reported: set[Reason] = field(default_factory=set)  # refusals that the operator has read

    def is_failing(self, now: datetime) -> bool:
        """Return whether all answers of ten minutes were errors: dead, for `/healthz`."""
        return self.failing_since is not None and now - self.failing_since >= timedelta(minutes=10)


class ServiceHealth:
    def __init__(self, now: Callable[[], datetime], keys: Mapping[str, str] | None = None) -> None:
        """`keys` are the settings of the providers' API keys, by provider."""
        self._now = now
        self._keys = keys or {}
        self._services = {provider: Service() for provider in self._keys}

    @property
    def down(self) -> frozenset[str]:
        """Providers to which nothing may be submitted now."""
        services = self._services.items()
        return frozenset(key for key, each in services if each.circuit is Circuit.OPEN)

    @property
    def known(self) -> tuple[str, ...]:
        """Providers that are configured, and those of which anything was noted."""
        return tuple(self._services)

    @property
    def outages(self) -> frozenset[str]:
        """Providers with an outage that lasts, also while one submit decides about its end."""
        return frozenset(key for key in self._services if self.has_outage(key))

    def has_outage(self, provider: str) -> bool:
        """Return whether no job was accepted since the provider went down."""
        return self.of(provider).outage_since is not None

    def of(self, provider: str) -> Service:
        """Return the health of a provider, which may be unknown: removed since the request."""
        return self._services.get(provider) or Service()

    def submit_slots(self, provider: str) -> int:
        """Return how many creating requests may be on their way at once."""
        service = self.of(provider)
        suspected = service.circuit is Circuit.CLOSED and service.probe_at is not None
        return 0 if suspected else SLOTS[service.circuit]

    def state_of(self, provider: str) -> CircuitState:
        service = self.of(provider)
        return CircuitState(
            service.circuit, service.outage_since, service.probe_at, service.openings
        )

    def adopt(self, provider: str, state: CircuitState) -> None:
        """Take over the state that another process has found."""
        service = self._noted(provider)
        if service.outage_since is None and state.outage_since is not None:
            log.warning("%s is down, as another process has found", provider)
        elif service.outage_since is not None and state.outage_since is None:
            log.warning("%s is up again, as another process has found", provider)
        service.circuit, service.outage_since, service.probe_at, service.openings = state
        service.failures = 0
        service.probing = False
        service.causes.clear()

    def answered(self, provider: str, error: Reason | None) -> None:
        """Note the outcome of any request; None is a success."""
        service = self._noted(provider)
        if error is None or error in OF_THE_REQUEST:
            service.last_good, service.failing_since = self._now(), None
        else:
            service.failing_since = service.failing_since or self._now()
        service.last_error = error or service.last_error

    def submitted(self, provider: str, cause: Cause, error: ProviderError | None = None) -> None:
        """Note the outcome of a creating request, which opens or closes the circuit."""
        service = self._noted(provider)
        limited = error is not None and error.reason is Reason.RATE_LIMITED
        if error is None or not (limited or error.reason in OUTAGE):
            self._close(provider)
            return
        # Only a service that declines work asks for a pause for everybody: a server may send the
        # header with the failure of any one request.
        if error.retry_after and error.taken is Taken.NO:
            self._open(provider, error)
        elif service.circuit is not Circuit.OPEN:  # else the probes decide
            self._count_failure(provider, cause, error)

    def due_probes(self) -> list[str]:
        """Return the providers that are due to be probed; each is returned once."""
        now, due = self._now(), []
        for key, service in self._services.items():
            if service.probe_at and service.probe_at <= now and not service.probing:
                service.probing = True
                due.append(key)
        return due

    def probed(self, provider: str, error: ProviderError | None = None) -> None:
        """Note the answer to a probe: an error about the request shows that the service works.

        The outage lasts until a submit succeeds: an API may answer probes and nothing else.
        """
        service = self._noted(provider)
        if not service.probing:  # a submit has succeeded meanwhile
            return
        service.probing = False
        service.failures = 0
        if error and (error.reason in OUTAGE or error.reason is Reason.RATE_LIMITED):
            self._open(provider, error)
            return
        service.probe_at = None
        if service.circuit is Circuit.OPEN:
            service.circuit = Circuit.HALF_OPEN
            log.info(
                "%s answers a probe: the next submit decides whether the outage is over", provider
            )

    def refused(self, provider: str, reason: Reason, detail: str) -> None:
        """Log why a job got no picture; an operator's matter once, as an error."""
        remedy = REMEDIES.get(reason)
        level = logging.INFO if remedy else logging.WARNING
        log.log(level, "%s refused or failed a job: %s: %s", provider, reason, detail)
        reported = self._noted(provider).reported
        if remedy is None or reason in reported:
            return
        reported.add(reason)
        log.error(
            "%s %s; until then every job there fails, uncharged. Its answer: %s",
            provider,
            remedy.format(key=self._keys.get(provider, "the API key")),
            detail or "none",
        )

    def made_picture(self, provider: str) -> None:
        """Note that a job succeeded: the next refusal is news again."""
        self._noted(provider).reported.clear()

    def _count_failure(self, provider: str, cause: Cause, error: ProviderError) -> None:
        service = self._noted(provider)
        limited = error.reason is Reason.RATE_LIMITED
        service.failures += 1
        # A rate limit is never the fault of the one request.
        if limited or not any(cause.shares_with(each) for each in service.causes):
            service.causes.append(cause)
        closed = service.circuit is Circuit.CLOSED
        if len(service.causes) >= (FAILURES if closed else FAILURES_AFTER_PROBE):
            self._open(provider, error)
        elif service.failures >= FAILURES:
            # Of too few causes: does the service work? Until then, nobody's job is submitted, so
            # that no pause that the error asks for comes first.
            service.probe_at = self._now()

    def _open(self, provider: str, error: ProviderError) -> None:
        service, now = self._noted(provider), self._now()
        service.circuit = Circuit.OPEN
        service.openings += 1
        service.failures = 0
        service.causes.clear()
        service.probe_at = now + PROBES.wait(service.openings, _pause(error))
        if service.outage_since is None:
            service.outage_since = now
            log.error("%s is down: nothing is submitted until a probe succeeds", provider)

    def _close(self, provider: str) -> None:
        service = self._noted(provider)
        service.circuit, service.probe_at = Circuit.CLOSED, None
        service.failures = service.openings = 0
        service.probing = False
        service.causes.clear()
        if service.outage_since is not None:
            service.outage_since = None
            log.warning("%s is up again", provider)

    def _noted(self, provider: str) -> Service:
        return self._services.setdefault(provider, Service())


def _pause(error: ProviderError) -> float | None:
    """Return the seconds that the API asks to wait; a rate limit may last for longest."""
    if error.retry_after is None or error.reason is Reason.RATE_LIMITED:
        return error.retry_after
    return min(error.retry_after, LONGEST_PAUSE.total_seconds())
