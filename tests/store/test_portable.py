"""Every query gives the same on both databases, with the same rows and with empty lists."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bot.jobs import Job
from bot.ledger import Account
from bot.periods import month_of
from bot.store import (
    claims,
    favourites,
    generations,
    history,
    jobs,
    ledger,
    lineage,
    losses,
    members,
    pictures,
    preferences,
    queue,
    running,
    stats,
    waiting,
)
from bot.store.backends import open_database
from bot.store.database import Connection
from bot.store.history import Place, Wanted
from bot.store.pictures import Role, Use
from tests.support.books import (
    CANCELED,
    DOUBTFUL,
    LATER,
    MUCH_LATER,
    OVERDUE,
    PARTIAL,
    QUEUED,
    write_books,
)
from tests.support.rows import NOW

BEFORE, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)
PROVIDERS = ["oxen", "skills"]


async def _number(read: Awaitable[list[Job]]) -> int:
    """Return the number alone: of jobs with the same time, any two of a channel are listed."""
    return len(await read)


async def _sorted(read: Awaitable[dict[str, Use]]) -> list[tuple[str, Use]]:
    return [*(await read).items()]


Query = Callable[[Connection], Awaitable[object]]
QUERIES: dict[str, Query] = {
    "get": lambda view: jobs.get(view, PARTIAL),
    "generations": lambda view: generations.of_job(view, PARTIAL),
    "owned": lambda view: generations.owned(view, "oxen", ["partial-1", "none"]),
    "owned, none": lambda view: generations.owned(view, "oxen", []),
    "outputs": lambda view: pictures.of_job(view, OVERDUE, Role.OUTPUT),
    "uses": lambda view: _sorted(pictures.uses(view)),
    "uses, some": lambda view: _sorted(pictures.uses(view, [f"{1:064x}", "none"])),
    "inputs of uncharged": lambda view: pictures.inputs_of_uncharged(view, BEFORE),
    "entries": lambda view: ledger.entries_of(view, OVERDUE),
    "sum": lambda view: ledger.spent(view, "bot", month_of(NOW)),
    "grants": lambda view: ledger.grants_left(view, Account(1, 10)),
    "reserved": lambda view: ledger.reserved_of(view, month_of(NOW), LATER),
    "reserved of a member": lambda view: ledger.reserved_of(view, month_of(NOW), NOW, user_id=1),
    "usage": lambda view: ledger.usage_of(view, 1, NOW, 10**6),
    "favourite": lambda view: favourites.has(view, 1, PARTIAL),
    "favourites": lambda view: favourites.number_of(view, 1),
    "ancestors": lambda view: lineage.ancestors(view, PARTIAL),
    "children": lambda view: lineage.children(view, PARTIAL, 10),
    "figures": lambda view: stats.figures_of(view, NOW),
    "dearest": lambda view: stats.dearest_picture(view, "oxen", BEFORE, limit=50),
    "history": lambda view: history.older(view, 1, Wanted(), None, 25),
    "history, filtered": lambda view: history.older(
        view, 1, Wanted("É", "oxen", favourites=True), None, 25
    ),
    "history, newer": lambda view: history.newer(view, 2, Wanted(), Place(BEFORE, ""), 25),
    "first pictures": lambda view: history.first_pictures(view, [OVERDUE, "none"]),
    "favourites among jobs": lambda view: history.favourites_among(view, 1, [OVERDUE]),
    "jobs of a picture": lambda view: pictures.jobs_of(view, f"{1:064x}", 25),
    "active": lambda view: members.active_of(view, 1, 25),
    "recent, oldest": lambda view: members.recent_of(view, 2, 1),
    "ended": lambda view: members.ended_of(view, 2, 25),
    "input bytes": lambda view: members.input_bytes_since(view, 1, BEFORE),
    "in turns": lambda view: claims.in_turns(view, "oxen", NOW, BEFORE, 5),
    "providers with work": lambda view: claims.providers_with_work(view, NOW, BEFORE),
    "unreported": lambda view: losses.unreported(view, BEFORE, TOMORROW, known=[]),
    "unreported, known": lambda view: losses.unreported(view, BEFORE, TOMORROW, known=[PARTIAL]),
    "recorded": lambda view: losses.recorded(view, DOUBTFUL),
    "waiting": lambda view: queue.waiting(view, "oxen", known=[]),
    "waiting, known": lambda view: queue.waiting(view, "oxen", known=[QUEUED]),
    "still waiting": lambda view: queue.still_waiting(view, [QUEUED, CANCELED]),
    "still waiting, none": lambda view: queue.still_waiting(view, []),
    "transferable": lambda view: queue.transferable(view, "skills", known=[]),
    "open generations": lambda view: queue.with_open_generations(view, BEFORE),
    "unknown outcomes": lambda view: queue.unknown_outcomes(view, BEFORE),
    "cancel requests": lambda view: queue.cancel_requests(view, "me", LATER, known=[]),
    "unconfirmed": lambda view: queue.unconfirmed(view, LATER),
    "expired": lambda view: queue.expired(view, LATER),
    "unleased": lambda view: queue.unleased(view, LATER, providers=PROVIDERS),
    "unleased, none": lambda view: queue.unleased(view, LATER, providers=[]),
    "orphaned": lambda view: queue.orphaned(view, LATER, providers=["another"]),
    "orphaned, none": lambda view: queue.orphaned(view, LATER, providers=[]),
    "estimated": lambda view: queue.estimated(view, BEFORE, providers=PROVIDERS),
    "estimated, none": lambda view: queue.estimated(view, BEFORE, providers=[]),
    "unwatched": lambda view: running.unwatched(view, LATER, known=[]),
    "without inputs": lambda view: queue.without_inputs(view, LATER, limit=16),
    "expiring": lambda view: queue.expiring_statuses(view, LATER, expires_before=TOMORROW),
    "deliverable": lambda view: _number(queue.deliverable(view, MUCH_LATER, limit=32)),
    "deliverable, cut": lambda view: _number(
        queue.deliverable(view, MUCH_LATER, limit=2, served=[1, 3], closed=[99])
    ),
    "notify": lambda view: preferences.notify_of(view, 1),
    "first in line": lambda view: waiting.first_in_line(
        view, "oxen", LATER, created_after=BEFORE, limit=11
    ),
    "waiting behind": lambda view: waiting.waiting_behind(view, "oxen", known=set()),
    "recent times": lambda view: waiting.recent_times(view, "oxen", BEFORE, limit=100),
    "next wake": lambda view: queue.next_wake(view, BEFORE),
}


@pytest.fixture
async def both(empty_file: Path, postgres_url: str) -> list[str]:
    urls = [f"sqlite:///{empty_file}", postgres_url]
    for url in urls:
        await write_books(open_database(url))
    return urls


async def test_every_query_gives_the_same_on_both(both: list[str]) -> None:
    found: list[dict[str, object]] = []
    for url in both:
        async with open_database(url) as database, database.reading() as view:
            found.append({name: _comparable(await read(view)) for name, read in QUERIES.items()})

    sqlite, postgresql = found
    assert {name for name in QUERIES if sqlite[name] != postgresql[name]} == set()
    assert sqlite["unleased, none"] == sqlite["still waiting, none"] == []


def _comparable(value: object) -> object:
    """Return a value without secrets, and without the order, which is chance for equal rows."""
    if isinstance(value, stats.Figures):
        return value
    if isinstance(value, dict):
        value = list(value.items())
    return sorted(map(repr, value)) if isinstance(value, list) else repr(value)
