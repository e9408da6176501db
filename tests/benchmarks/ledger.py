"""Measure requests on a long ledger: `python -m tests.benchmarks.ledger`.

A SQLite file with 1,000,000 entries of 10,000 members in 50 servers, most of them of the current
month; a few members have made very many of the jobs. Each server has a budget, a time zone, and
rights of roles. Then:

- a request: the whole of `Requests.create` with an allowance, grants, MONTHLY_CREDITS, and the
  budgets of the server, of the provider and of the bot, until the commit (synchronous=FULL);
- a settlement: the transaction in which a job succeeds;
- the usage of a member in the server, and the audit of the sums;
- `/credits report` of a server's month, with its table;
- the same in a second file that has as many entries, all of one server and of the current month.

The goals are a 99th percentile of a request under 20 ms, and a report under 1 s. `--keep FILE`
keeps the first file, or uses the file that is there.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.jobs import JobStatus, Picture, PictureKind, Route
from bot.ledger import Account, Cost
from bot.periods import PeriodKind
from bot.quotas import Member, Quotas
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.store import generations, jobs, ledger, settlement
from bot.store.audit.sums import check_sums
from bot.store.database import Transaction
from bot.store.holds import Held
from bot.store.servers import store_rights, store_settings
from bot.store.sqlite import SQLiteDatabase
from bot.studio.credit_reports import CreditReports
from bot.studio.requests import PictureRequest, Requests
from tests.benchmarks.figures import Figure, show
from tests.support.pseudonyms import KEY
from tests.support.rows import new_job
from tests.support.services import services_on

ENTRIES, MEMBERS, SERVERS, ROLES = 1_000_000, 10_000, 50, 12
FIRST_SERVER, FIRST_USER, FIRST_ROLE = 10**17, 2 * 10**17, 3 * 10**17  # as long as Discord's
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
CURRENT = 0.6  # of the entries
PRICE = 7_500
ENOUGH = 10**9  # thousandths of a credit: a limit that no request of this benchmark exceeds
WARM_UP = 20
ACCEPTABLE = 0.020  # seconds of a request
ACCEPTABLE_REPORT = 1.0
SQLITE_TIME = "%Y-%m-%d %H:%M:%S.%f"
FILL_SUMS = (
    "INSERT INTO sums (scope, begins_at, amount) SELECT {0}, substr(counted_at, 1, 14) || "
    "printf('%02d', CAST(substr(counted_at, 15, 2) AS INTEGER) / 15 * 15) || ':00.000000', "
    "sum(amount) FROM ledger WHERE kind <> 'grant' GROUP BY 1, 2"
)
SCOPES = ("'bot'", "'provider:' || provider", "'server:' || server_id")


@dataclass(frozen=True)
class Made:
    """A settled job of the file."""

    id: str
    user_id: int
    server_id: int
    at: str
    until: str


def server_of(user_id: int, servers: int = SERVERS) -> int:
    return FIRST_SERVER + user_id % servers


def made_jobs(chance: random.Random, number: int, servers: int, current: float) -> Iterator[Made]:
    for index in range(number):
        # Some members request very much: the first of ten thousand a few hundred times the last.
        user_id = FIRST_USER + int(MEMBERS * chance.random() ** 2)
        seconds = (NOW - MONTH).total_seconds()
        if chance.random() < current:
            at = MONTH + timedelta(seconds=chance.random() * seconds)
        else:
            at = MONTH - timedelta(days=chance.random() * 330)
        until = at + timedelta(seconds=12)
        yield Made(
            f"{index:016}",
            user_id,
            server_of(user_id, servers),
            f"{at:{SQLITE_TIME}}",
            f"{until:{SQLITE_TIME}}",
        )


async def build(
    path: Path, entries: int, *, servers: int = SERVERS, current: float = CURRENT
) -> None:
    """Write the file: in bulk, without the trigger that keeps the sums; they are filled after."""
    async with SQLiteDatabase(path):
        pass
    made = sorted(
        made_jobs(random.Random(4), entries // 3, servers, current), key=lambda each: each.at
    )
    with closing(sqlite3.connect(path)) as connection:
        (trigger,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'ledger_adds'"
        ).fetchone()
        connection.execute("DROP TRIGGER ledger_adds")
        _insert_jobs(connection, made)
        _insert_entries(connection, made, servers)
        for scope in SCOPES:
            connection.execute(FILL_SUMS.format(scope))
        connection.execute(trigger)
        connection.commit()
    async with SQLiteDatabase(path) as database, database.transaction() as tx:
        for server_id in range(FIRST_SERVER, FIRST_SERVER + servers):
            await _set_up(tx, server_id)


async def _set_up(tx: Transaction, server_id: int) -> None:
    """Give a server a budget, an allowance and rights of roles."""
    settings = ServerSettings(budget=Allowance(amount=ENOUGH, period=PeriodKind.WEEK))
    await store_settings(tx, server_id, settings)
    allowance = Allowance(amount=20_000, period=PeriodKind.WEEK)
    rights = Rights(tier="artist", allowance=allowance, jobs=100)
    await store_rights(tx, server_id, Subject.DEFAULT, "", rights)
    for role in range(ROLES):
        name = str(FIRST_ROLE + role)
        await store_rights(tx, server_id, Subject.ROLE, name, Rights(pictures=4))


def _insert_jobs(connection: sqlite3.Connection, made: Sequence[Made]) -> None:
    known: dict[str, object] = {
        "status": "succeeded",
        "channel_id": 1,
        "application_id": 1,
        "model": "oxen",
        "provider": "oxen",
        "prompt": "a fox in the snow, at dusk, by a painter of the last century",
        "options": json.dumps({"aspect_ratio": "16:9"}),
        "price": PRICE,
        "cost": PRICE,
        "estimated": 0,
        "delivery_attempts": 1,
    }
    per_job = ("id", "user_id", "account_server_id", "guild_id", "created_at", "token_expires_at")
    ends = ("submitted_at", "running_at", "settled_at", "delivered_at")
    names = [*known, *per_job, *ends]
    connection.executemany(
        f"INSERT INTO jobs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608
        (
            [
                *known.values(),
                *(each.id, each.user_id, each.server_id, each.server_id, each.at, each.until),
                *(each.at, each.at, each.until, each.until),
            ]
            for each in made
        ),
    )
    connection.executemany(
        "INSERT INTO generations (job_id, provider, remote_id, state) "
        "VALUES (?, 'oxen', ?, 'succeeded')",
        ((each.id, f"remote-{each.id}") for each in made),
    )


def _insert_entries(connection: sqlite3.Connection, made: Sequence[Made], servers: int) -> None:
    lines = (("hold", -PRICE, "{}"), ("release", PRICE, "{}"), ("capture", -PRICE, '{"usd": "1"}'))
    connection.executemany(
        "INSERT INTO ledger (job_id, user_id, server_id, kind, amount, provider, counted_at, "
        "reason, details, created_at) VALUES (?, ?, ?, ?, ?, 'oxen', ?, '', ?, ?)",
        (
            (each.id, each.user_id, each.server_id, kind, amount, each.at, details, created_at)
            for each in made
            for (kind, amount, details), created_at in zip(
                lines, (each.at, each.until, each.until), strict=True
            )
        ),
    )
    moment = f"{NOW:{SQLITE_TIME}}"
    connection.executemany(
        "INSERT INTO ledger (user_id, server_id, kind, amount, granted, counted_at, reason, "
        "details, created_at) VALUES (?, ?, 'grant', ?, ?, ?, 'a contest', '{}', ?)",
        (
            (user_id, server_of(user_id, servers), ENOUGH, ENOUGH, moment, moment)
            for user_id in range(FIRST_USER, FIRST_USER + MEMBERS)
        ),
    )


async def measure(path: Path, folder: Path, requests: int) -> list[Figure]:
    moved = timedelta()

    def now() -> datetime:
        return NOW + moved

    async with SQLiteDatabase(path) as database:
        database.use_pseudonyms(KEY)
        quotas = Quotas(
            budget=10 * ENOUGH,
            provider_budgets={"oxen": 10 * ENOUGH, "skills": 10 * ENOUGH},
            allowance=ENOUGH,
            max_jobs=1_000,  # counted as with the default
        )
        services = replace(services_on(database, folder, now), quotas=quotas)
        made = Requests(services, lambda: None)
        chance, held = random.Random(5), list[Held]()
        took, used = list[float](), list[float]()
        origin = int(time.time() * 1000)
        for number in range(requests + WARM_UP):
            moved += timedelta(seconds=1)
            member = a_member(chance)
            request = PictureRequest(origin + number, "a fox", {}, model="oxen")
            route = route_of(member)
            began, before = time.perf_counter(), time.process_time()
            held.append(await made.create(member, route, request))
            took.append(time.perf_counter() - began)
            used.append(time.process_time() - before)
        settlements = [await settled(database, each, now()) for each in held[WARM_UP:]]
        return [
            of_times("a request", took[WARM_UP:], at_most=ACCEPTABLE),
            of_times("a request, processor time", used[WARM_UP:]),  # true beside other programs
            of_times("a settlement", settlements),
            of_times("the usage of a member", await usages(database, chance, now())),
            await report("a report", CreditReports(services), FIRST_SERVER),
            await audit(database),
        ]


async def usages(database: SQLiteDatabase, chance: random.Random, now: datetime) -> list[float]:
    """Return the seconds of the query behind `/usage`, for many members."""
    found, allowance = list[float](), Allowance(amount=ENOUGH, period=PeriodKind.WEEK)
    for _ in range(100):
        member = a_member(chance)
        account = Account(member.user_id, member.server_id)
        async with database.reading() as view:
            began = time.perf_counter()
            await ledger.account_usage(view, account, allowance, (), now)
            found.append(time.perf_counter() - began)
    return found


async def audit(database: SQLiteDatabase) -> Figure:
    async with database.reading() as view:
        began = time.perf_counter()
        assert [each async for each in check_sums(view)] == []
        return Figure("ledger: the audit of the sums", time.perf_counter() - began, "s")


async def report(name: str, reports: CreditReports, server_id: int) -> Figure:
    """Time the second report of a server's month: the first reads the file from the disk."""
    manager = Member(1, server_id, may_manage=True)
    for _ in range(2):
        began, before = time.perf_counter(), time.process_time()
        found = await reports.of(manager)
        took, used = time.perf_counter() - began, time.process_time() - before
    beside = {"members": len(found.members), "processor": used}
    return Figure(f"ledger: {name}", took, "s", at_most=ACCEPTABLE_REPORT, beside=beside)


async def measure_one_server(path: Path, folder: Path) -> Figure:
    """Time the report where every entry of the file is in it."""
    async with SQLiteDatabase(path) as database:
        reports = CreditReports(services_on(database, folder, lambda: NOW))
        return await report("a report of all entries", reports, FIRST_SERVER)


def a_member(chance: random.Random) -> Member:
    """Return one of the members, those who request much more often than the others."""
    user_id = FIRST_USER + int(MEMBERS * chance.random() ** 2)
    roles = frozenset(FIRST_ROLE + number for number in range(ROLES))
    return Member(user_id, server_of(user_id), roles)


def route_of(member: Member) -> Route:
    route: Route = new_job(at=NOW, server_id=member.server_id).route
    return replace(route, guild_id=member.server_id)


async def settled(database: SQLiteDatabase, held: Held, now: datetime) -> float:
    """Let a job run and succeed; return the seconds of the settlement's transaction."""
    job_id = held.job.id
    async with database.transaction() as tx:
        await jobs.confirm_reply(tx, job_id, 1)
        await jobs.move(tx, job_id, JobStatus.SUBMITTING, submitted_at=now)
        job = await jobs.start_running(tx, job_id, now)
        made = await generations.add(tx, job_id, "oxen", [f"made-{job_id}"])
    pictures = [Picture(job_id.rjust(64, "0"), PictureKind.PNG, 9, 1, 1)]
    ends = {each.id: JobStatus.SUCCEEDED for each in made}
    cost = Cost(job.price, {"usd": "0.00001"})
    began = time.perf_counter()
    async with database.transaction() as tx:
        await settlement.succeed(tx, job, now, cost=cost, pictures=pictures, ends=ends)
    return time.perf_counter() - began


def percentile(seconds: Sequence[float], of: int) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) * of // 100, len(ordered) - 1)]


def of_times(name: str, seconds: Sequence[float], *, at_most: float | None = None) -> Figure:
    p50, p99 = (1000 * percentile(seconds, of) for of in (50, 99))
    bound = None if at_most is None else 1000 * at_most
    beside = {"p50": p50, "longest": 1000 * max(seconds)}
    return Figure(f"ledger: {name}, p99", p99, "ms", at_most=bound, beside=beside)


async def figures(
    *, small: bool = False, entries: int = ENTRIES, requests: int = 500, keep: Path | None = None
) -> list[Figure]:
    """Measure on a file of `entries`, by default a million; `keep` is a file for several runs."""
    if small:
        entries, requests = entries // 20, requests // 5
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # on a disk, not in memory
        folder = Path(name)
        path = keep or folder / "easel.db"
        if not path.exists():
            await build(path, entries)
        size = Figure("ledger: the file", path.stat().st_size / 1e6, "MB")
        found = [size, *await measure(path, folder, requests)]
        path = folder / "one-server.db"
        await build(path, entries, servers=1, current=1)
        return [*found, await measure_one_server(path, folder)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    show(
        asyncio.run(
            figures(entries=arguments.entries, requests=arguments.requests, keep=arguments.keep)
        )
    )
