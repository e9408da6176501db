"""What is told to whoever watches over the bot, through the running bot."""

import asyncio
import re
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.app import App
from bot.config import Config
from bot.errors import ProviderError, Reason, StartupError
from bot.observability.endpoint import HealthReport
from bot.observability.metrics import Metrics
from bot.providers.base import Http
from bot.providers.oxen import OXEN
from bot.sandbox.http.faults import Answer, Hold, Reset
from bot.store.database import Database
from tests.support.easel import Clock, Stage
from tests.support.services import services_on

pytestmark = pytest.mark.long

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
DOCS = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()


async def get(app: App, path: str, method: str = "GET") -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, f"http://127.0.0.1:{app.http_port}{path}") as response,
    ):
        return response.status, await response.text()


async def health(app: App) -> tuple[int, Any]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{app.http_port}/healthz") as response,
    ):
        return response.status, await response.json()


async def dead(app: App, part: str) -> Any:  # noqa: ANN401  # JSON
    """Wait until this part is told to be dead, and return the report."""
    async with asyncio.timeout(20):
        while True:
            status, report = await health(app)
            if not report[part]["alive"]:
                assert (status, report["status"]) == (503, "dead")
                return report
            await asyncio.sleep(0.05)


async def alive(app: App) -> Any:  # noqa: ANN401
    async with asyncio.timeout(20):
        while True:
            status, report = await health(app)
            if status == 200:
                return report
            await asyncio.sleep(0.05)


async def samples(app: App) -> Samples:
    status, text = await get(app, "/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes to the file and does not end."""
    with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def test_a_bot_that_runs_is_alive_and_tells_each_part(at: Stage) -> None:
    async with at.easel(http_port=0) as app:
        await at.imagine("a fox")
        await at.settled()
        report = await alive(app)

    assert report["status"] == "ok"
    assert report["database"] == {"alive": True}
    assert report["worker"]["seconds_since_turn"] < 10
    assert report["providers"]["oxen"]["last_error"] is None
    assert report["providers"]["oxen"]["last_good_answer"] is not None
    assert report["providers"]["skills"]["alive"]


async def test_a_lost_gateway_is_dead_until_it_is_back(at: Stage) -> None:
    async with at.easel(http_port=0) as app:
        await alive(app)
        refused = at.discord.faults.add("GET", "/gateway/?", Answer(503), times=None)
        await at.discord.drop_gateway()

        report = await dead(app, "gateway")
        refused.remove()
        await alive(app)

    assert report["gateway"]["alive"] is False
    assert report["gateway"]["latency_seconds"] is None
    assert report["database"]["alive"]


async def test_a_locked_database_is_dead_and_what_waited_is_not_broken(at: Stage) -> None:
    async with at.easel(http_port=0) as app:
        await alive(app)
        with locked(at.path):
            report = await dead(app, "database")
            assert report["gateway"]["alive"]
        await alive(app)
        await at.imagine("a fox")
        (job,) = await at.settled()

    assert job.delivered_at is not None


async def test_a_worker_without_a_turn_for_a_minute_is_dead(
    database: Database, tmp_path: Path
) -> None:
    clock = Clock()
    services = services_on(database, tmp_path, clock)
    watched = HealthReport(services, lambda: None)
    services.metrics.worker_turned()
    _, before = await watched.report()
    clock.move(seconds=61)
    _, after = await watched.report()
    await watched.close()

    assert before["worker"]["alive"]  # type: ignore[index]
    assert not after["worker"]["alive"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("reasons", "minutes", "lives"),
    [
        ([Reason.TIMEOUT], 9, True),
        ([Reason.TIMEOUT], 11, False),
        ([Reason.TIMEOUT, None], 11, True),
        ([None, Reason.AUTH], 11, False),
        ([Reason.REJECTED], 11, True),  # it was there, and said no
    ],
)
async def test_a_provider_is_dead_after_ten_minutes_of_nothing_but_errors(
    database: Database, tmp_path: Path, reasons: list[Reason | None], minutes: int, lives: bool
) -> None:
    clock = Clock()
    async with aiohttp.ClientSession() as session:
        config = Config.load(None, {"oxen_api_key": "key"}, entries=(OXEN,))
        providers = config.make_providers(Http(session, Metrics(clock)))
    services = services_on(database, tmp_path, clock, providers=providers)
    watched = HealthReport(services, lambda: None)
    for reason in reasons:
        try:
            with services.metrics.asking("oxen", "GET"):
                if reason is not None:
                    raise ProviderError(reason)
        except ProviderError:
            clock.moved += timedelta(seconds=1)
    clock.move(minutes=minutes)
    _, report = await watched.report()
    await watched.close()

    assert report["providers"]["oxen"]["alive"] is lives  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "method"),
    [("/", "GET"), ("/healthz/x", "GET"), ("/metrics", "POST"), ("/healthz", "HEAD")],
)
async def test_everything_else_is_not_found(at: Stage, path: str, method: str) -> None:
    async with at.easel(http_port=0) as app:
        status, _ = await get(app, path, method)

    assert status == 404


async def test_nothing_is_served_unless_it_is_asked_for(at: Stage) -> None:
    async with at.easel() as app:
        assert app.http_port is None


async def test_a_port_that_is_taken_is_told_in_one_line(at: Stage) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError) as caught:
            async with at.easel(http_port=port):
                raise AssertionError("it has started")

    assert str(caught.value).startswith(f"HTTP_PORT: {port} on 127.0.0.1 is in use")
    assert "\n" not in str(caught.value)


async def test_the_metrics_tell_of_a_job_a_refusal_and_a_doubtful_submit(at: Stage) -> None:
    async with at.easel(http_port=0) as app:
        await at.imagine("a fox", model="oxen")
        await at.settled(1)
        at.skills.faults.add("POST", ".*", Answer(400, {"error": {"code": "INVALID_INPUT"}}))
        await at.imagine("a hen", model="skills")
        await at.settled(2)
        at.oxen.faults.add("POST", "/api/ai/queue", Reset())
        await at.imagine("a cat", model="oxen")
        await at.settled(3)
        found = await samples(app)

    assert of(found, "easel_jobs", status="succeeded", model="oxen") == 1
    assert of(found, "easel_jobs", status="failed", model="skills") == 1
    assert of(found, "easel_jobs", status="failed", model="oxen") == 1
    assert of(found, "easel_settled_credits", model="oxen") == 7.5
    assert of(found, "easel_month_captured_credits") == 7.5
    assert of(found, "easel_month_held_credits") == 0
    assert of(found, "easel_doubtful_submits_total", provider="oxen", outcome="failed") == 1
    posts = {"provider": "oxen", "method": "POST"}
    assert of(found, "easel_api_requests_total", outcome="ok", **posts) == 1
    assert of(found, "easel_api_requests_total", outcome="unavailable", **posts) == 1
    assert of(found, "easel_api_request_duration_seconds_count", **posts) == 2
    refusal = {"provider": "skills", "method": "POST", "outcome": "invalid"}
    assert of(found, "easel_api_requests_total", **refusal) == 1
    assert of(found, "easel_polls_total", provider="oxen") >= 1
    assert of(found, "easel_deliveries_total", destination="channel") == 3
    assert of(found, "easel_discord_answers_total", method="POST", status="200") >= 3
    assert of(found, "easel_event_loop_stall_seconds_count") >= 1
    assert of(found, "easel_database_up") == 1


async def test_held_credits_ages_and_retries_are_told_while_a_job_waits(at: Stage) -> None:
    at.discord.faults.add("POST", r"/api/v10/channels/\d+/messages", Answer(503, {"message": ""}))
    held = at.oxen.faults.add("POST", "/api/ai/queue", Hold())
    async with at.easel(http_port=0) as app:
        await at.imagine("a fox", model="oxen")
        await held.reached()
        waiting = await samples(app)
        held.release()
        await at.settled()
        delivered = await samples(app)

    assert of(waiting, "easel_month_held_credits") == 7.5
    assert of(waiting, "easel_jobs", status="submitting", model="oxen") == 1
    assert of(delivered, "easel_delivery_retries_total") == 1
    assert of(delivered, "easel_oldest_undelivered_age_seconds") == 0
    assert of(delivered, "easel_jobs", status="submitting", model="oxen") == 0


async def test_every_configured_provider_is_up_before_its_first_request(at: Stage) -> None:
    async with at.easel(http_port=0) as app:
        found = await samples(app)

    assert {name: value for name, value in found.items() if name[0] == "easel_provider_up"} == {
        ("easel_provider_up", (("provider", "oxen"),)): 1,
        ("easel_provider_up", (("provider", "skills"),)): 1,
    }


def test_the_page_about_metrics_tells_each_of_them() -> None:
    text = Metrics(Clock()).text(None).decode()
    families = text_string_to_metric_families(text)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if not family.name.endswith("_created")  # beside each counter: when it began
    }

    told = re.findall(r"^\| `(easel_\w+)`", DOCS, flags=re.MULTILINE)
    assert sorted(told) == sorted(names)
    assert set(re.findall(r"\beasel_[a-z_]+", DOCS)) <= names | {f"{n}_bucket" for n in names}
