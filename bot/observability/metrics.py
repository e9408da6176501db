"""Counters and gauges in the format of Prometheus (docs/metrics.md)."""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import perf_counter
from types import SimpleNamespace

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot import package_version
from bot.clock import ClockWatch
from bot.errors import ProviderError, Reason
from bot.health import ServiceHealth
from bot.ledger import CREDIT
from bot.rest_pace import UNCOUNTED, GaveWay, RestPace
from bot.second_copy import CopyWatch
from bot.store.stats import Figures

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one Easel, in a registry of their own; methods are named for events."""

    def __init__(self, now: Callable[[], datetime], health: ServiceHealth | None = None) -> None:
        """`health` hears of every answer to a request, and is read at each scrape."""
        self.now = now
        self.last_turn: datetime | None = None  # of the worker
        self._health = health or ServiceHealth(now)
        self._registry = registry = CollectorRegistry()
        self._count_events(registry)
        self._measure_rows(registry)
        Info("easel_build", "The versions that run.", registry=registry).info(
            {
                "version": package_version("easel"),
                "python": platform.python_version(),
                "discord_py": package_version("discord.py"),
            }
        )

    def _count_events(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._requests = counter(
            "easel_api_requests",
            "Requests to the image APIs; the outcome is ok or the error's reason.",
            *("provider", "method", "outcome"),
        )
        self._request_seconds = Histogram(
            "easel_api_request_duration_seconds",
            "The duration of one request to an image API, until its end or error.",
            ("provider", "method"),
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),  # seconds; 20 is the timeout
            registry=registry,
        )
        self._polls = counter("easel_polls", "Polls of a generation's state.", "provider")
        self._doubtful = counter(
            "easel_doubtful_submits",
            "Creating requests with an unknown outcome, by the result of the reconciliation.",
            *("provider", "outcome"),
        )
        self._answers = counter(
            "easel_discord_answers", "Discord's answers to requests.", "method", "status"
        )
        self._deliveries = counter(
            "easel_deliveries", "Delivered jobs, by destination.", "destination"
        )
        self._retries = counter("easel_delivery_retries", "Delivery attempts that failed.")
        self._watched = Gauge(
            "easel_watched_jobs", "Running jobs whose ends this process awaits.", registry=registry
        )
        self._stalls = Histogram(
            "easel_event_loop_stall_seconds",
            "The delay of a task that sleeps for 100 ms.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),  # seconds
            registry=registry,
        )

    def _measure_rows(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._rows_read = gauge("easel_database_up", "1 if the rows could be read for this scrape.")
        self._jobs = gauge("easel_jobs", "Jobs in the database.", "status", "model")
        self._queued_age = gauge(
            "easel_oldest_queued_age_seconds", "Age of the oldest queued job; 0: none."
        )
        self._undelivered_age = gauge(
            "easel_oldest_undelivered_age_seconds",
            "Time since the settlement of the oldest undelivered job; 0: none.",
        )
        self._held = gauge("easel_month_held_credits", "Held for this month's unsettled jobs.")
        self._up = gauge("easel_provider_up", "0 while nothing is submitted there.", "provider")
        self._captured = gauge("easel_month_captured_credits", "Charged for this month's jobs.")
        self._lost = gauge("easel_month_lost_credits", "Charged this month for jobs that failed.")
        self._settled = gauge("easel_settled_credits", "The cost of all jobs ever.", "model")

    @contextmanager
    def asking(self, provider: str, method: str) -> Iterator[None]:
        """Measure one request to an image API; a cancelled one does not count."""
        begun = perf_counter()
        try:
            yield
        except ProviderError as error:
            self._asked(provider, method, error.reason, perf_counter() - begun)
            raise
        self._asked(provider, method, None, perf_counter() - begun)

    def _asked(self, provider: str, method: str, error: Reason | None, seconds: float) -> None:
        self._requests.labels(provider, method, error or "ok").inc()
        self._request_seconds.labels(provider, method).observe(seconds)
        self._health.answered(provider, error)

    def polled(self, provider: str) -> None:
        self._polls.labels(provider).inc()

    def watching(self, jobs: int) -> None:
        """Note the number of running jobs that are watched from now on."""
        self._watched.set(jobs)

    def doubt_ended(self, provider: str, outcome: str) -> None:
        """Count the result of a reconciliation: `adopted`, or `failed` and possibly charged."""
        self._doubtful.labels(provider, outcome).inc()

    def discord_answered(self, method: str, status: str) -> None:
        self._answers.labels(method, status).inc()

    def delivered(self, destination: str) -> None:
        self._deliveries.labels(destination).inc()

    def delivery_failed(self) -> None:
        self._retries.inc()

    def loop_stalled(self, seconds: float) -> None:
        self._stalls.observe(max(seconds, 0.0))

    def worker_turned(self) -> None:
        self.last_turn = self.now()

    def text(self, figures: Figures | None) -> bytes:
        """Return one scrape; without the figures of the rows if those could not be read."""
        for labelled in (self._jobs, self._settled):
            labelled.clear()
        for provider in self._health.known:
            self._up.labels(provider).set(not self._health.has_outage(provider))
        self._rows_read.set(figures is not None)
        if figures is None:
            figures = Figures({}, None, None, 0, 0, 0, {})
        for (status, model), number in figures.jobs.items():
            self._jobs.labels(status, model).set(number)
        for model in figures.settled:
            self._settled.labels(model).set(figures.settled[model] / CREDIT)
        self._queued_age.set(self._age(figures.oldest_queued))
        self._undelivered_age.set(self._age(figures.oldest_undelivered))
        self._held.set(figures.held / CREDIT)
        self._captured.set(figures.captured / CREDIT)
        self._lost.set(figures.lost / CREDIT)
        return generate_latest(self._registry)

    def _age(self, moment: datetime | None) -> float:
        return max(self.now() - moment, timedelta(0)).total_seconds() if moment else 0.0


def trace_discord(
    metrics: Metrics, clock: ClockWatch, copies: CopyWatch, pace: RestPace
) -> aiohttp.TraceConfig:
    """Return a trace that counts every answer, or the error in place of one.

    Each request waits for its turn; each answer's time, and each attempt at a reply, is noted.
    """

    async def began(
        _: aiohttp.ClientSession, __: SimpleNamespace, start: aiohttp.TraceRequestStartParams
    ) -> None:
        if not UNCOUNTED.search(start.url.path):
            await pace.wait()
        copies.count_attempt(start.url.path)

    async def answered(
        _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        metrics.discord_answered(end.method, str(end.response.status))
        clock.note(end.response.headers.get("Date"))

    async def broke(
        _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams
    ) -> None:
        if not isinstance(end.exception, GaveWay):  # nothing was sent
            metrics.discord_answered(end.method, type(end.exception).__name__)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(began)
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(broke)
    return trace
