"""The whole bot, its commands and its studio on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.catalog import Catalog
from bot.errors import NotNow, OutcomeUnknown, UserError
from bot.jobs import Attachment, Job, JobStatus, Route
from bot.providers.oxen.model import oxen_spec
from bot.quotas import Member, NotEnough, Quotas
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.settings import Settings
from bot.store import jobs, members, servers
from bot.store.backends import open_database
from bot.store.database import REVISION
from bot.store.database_file import InstanceLock
from bot.store.dialects import lock_quotas
from bot.store.holds import Held
from bot.store.migrations import upgrade
from bot.store.postgres import WRITERS
from bot.store.sqlite import SQLiteDatabase
from bot.studio import AlreadyRequested
from bot.studio.jobs import CannotCancel, MemberJobs
from bot.studio.requests import PictureRequest, Requests
from tests.support import cluster
from tests.support.cluster import Cluster
from tests.support.command_line import Ended, easel
from tests.support.easel import KEY, TOKEN, Stage, stage, text_of
from tests.support.relay import Loss, Relay, relayed
from tests.support.rows import NOW, new_job
from tests.support.services import services_on

ROUTE: Route = replace(new_job().route)
ADA = Member(1)
SERVER = ROUTE.account_server_id


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[Relay]:
    async with relayed(postgres_url) as made:
        yield made


@asynccontextmanager
async def requests_on(
    url: str, folder: Path, quotas: Quotas | None = None
) -> AsyncIterator[tuple[Requests, MemberJobs]]:
    async with open_database(url) as database:
        services = services_on(database, folder, lambda: NOW)
        services = replace(services, quotas=quotas or Quotas())
        yield Requests(services, lambda: None), MemberJobs(services)


async def stored(url: str) -> list[Job]:
    async with open_database(url) as database, database.reading() as view:
        return await members.recent_of(view, ADA.user_id, 100)


# One quota, several processes


async def test_one_of_eight_requests_to_two_processes_gets_the_last_credit(
    database_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(
                requests_on(database_url, tmp_path / str(n), Quotas(allowance=1))
            )
            for n in range(2 if "postgresql" in database_url else 1)
        ] * 2
        outcomes = await asyncio.gather(
            *(
                processes[n % 2][0].create(ADA, ROUTE, PictureRequest(n, "a fox", {}))
                for n in range(8)
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(each, Held) for each in outcomes) == 1
    assert sum(isinstance(each, UserError) for each in outcomes) == 7
    assert len(await stored(database_url)) == 1


@pytest.mark.long
@pytest.mark.parametrize("level", ["default", "server", "bot"])
async def test_of_200_requests_to_two_processes_just_those_are_accepted_that_fit(
    database_url: str, tmp_path: Path, level: str
) -> None:
    fit, quotas = (80, Quotas()) if level == "default" else (30, Quotas())
    if level == "bot":
        quotas = Quotas(budget=30)
    async with AsyncExitStack() as stack:
        processes = [
            (await stack.enter_async_context(requests_on(database_url, tmp_path / str(n), quotas)))[
                0
            ]
            for n in range(2 if "postgresql" in database_url else 1)
        ]
        async with processes[0]._database.transaction() as tx:
            if level == "default":
                rights = Rights(allowance=Allowance(amount=2))  # thousandths: two pictures
                await servers.store_rights(tx, SERVER, Subject.DEFAULT, "", rights)
            elif level == "server":
                settings = ServerSettings(budget=Allowance(amount=30))
                await servers.store_settings(tx, SERVER, settings)

        async def ask(number: int) -> bool:
            """Return whether a request is accepted; one that waited too long is repeated."""
            member = Member(number % 40 + 1, server_id=SERVER)
            request = PictureRequest(number, "a fox", {})
            while True:
                try:
                    await processes[number % len(processes)].create(member, ROUTE, request)
                except NotNow:
                    continue
                except NotEnough:
                    return False
                return True

        accepted = await asyncio.gather(*(ask(number) for number in range(200)))
        async with processes[0]._database.reading() as view:
            counts = [len(await members.recent_of(view, user, 100)) for user in range(1, 41)]

    assert sum(accepted) == sum(counts) == fit
    assert level != "default" or set(counts) == {2}


async def test_requests_that_wait_for_the_quotas_leave_connections_to_others(
    postgres_url: str, tmp_path: Path
) -> None:
    async with requests_on(postgres_url, tmp_path) as (requests, _):
        async with open_database(postgres_url) as another, another.transaction() as tx:
            await lock_quotas(tx)
            waiting = [
                asyncio.create_task(requests.create(ADA, ROUTE, PictureRequest(n, "a fox", {})))
                for n in range(2 * WRITERS)
            ]
            await asyncio.sleep(0.1)
            async with requests._database.transaction(timeout=5) as other:
                assert await jobs.get(other, "none") is None
        accepted = await asyncio.gather(*waiting)

    assert len(await stored(postgres_url)) == len(accepted) == 2 * WRITERS


async def test_one_interaction_makes_one_job_in_two_processes(
    postgres_url: str, tmp_path: Path
) -> None:
    async with (
        requests_on(postgres_url, tmp_path / "a") as (one, _),
        requests_on(postgres_url, tmp_path / "b") as (another, _),
    ):
        outcomes = await asyncio.gather(
            *(each.create(ADA, ROUTE, PictureRequest(7, "a fox", {})) for each in (one, another)),
            return_exceptions=True,
        )

    assert [type(each) for each in outcomes if not isinstance(each, Held)] == [AlreadyRequested]


async def test_input_bytes_are_counted_before_others_are_accepted(
    postgres_url: str, tmp_path: Path
) -> None:
    attached = (Attachment("1.png", "https://a.b/1.png", 250_000_000),)

    async def request(requests: Requests, number: int) -> Held:
        new = replace(new_job(), id=f"{number:016}", inputs=attached, origin_id=number)
        return await requests._database.run(lambda tx: requests._store(tx, ADA, new))

    async with (
        requests_on(postgres_url, tmp_path / "a") as (one, _),
        requests_on(postgres_url, tmp_path / "b") as (another, _),
    ):
        outcomes = await asyncio.gather(
            *(request(each, n) for n, each in enumerate((one, another) * 2)),
            return_exceptions=True,
        )

    assert sum(isinstance(each, Held) for each in outcomes) == 1


async def test_a_cancel_and_a_claim_at_once_leave_one_outcome(
    postgres_url: str, tmp_path: Path
) -> None:
    async with requests_on(postgres_url, tmp_path) as (requests, member):
        job = (await requests.create(ADA, ROUTE, PictureRequest(1, "a fox", {}))).job
        async with open_database(postgres_url) as another, another.transaction() as tx:
            await jobs.lock(tx, job.id)
            canceling = asyncio.create_task(member.cancel(ADA.user_id, job.id))
            await asyncio.sleep(0.1)
            await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        canceled = await canceling

    assert canceled.status is JobStatus.SUBMITTING
    assert canceled.cancel_requested_at == NOW


async def test_a_job_that_begins_during_a_cancel_cannot_be_canceled_at_every_service(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_database(postgres_url) as database:
        catalog = Catalog([replace(oxen_spec(price=1), cancels=False)])
        services = replace(services_on(database, tmp_path, lambda: NOW), catalog=catalog)
        requests = Requests(services, lambda: None)
        job = (await requests.create(ADA, ROUTE, PictureRequest(1, "a fox", {}))).job
        async with database.transaction() as tx:
            await jobs.lock(tx, job.id)
            canceling = asyncio.create_task(MemberJobs(services).cancel(ADA.user_id, job.id))
            await asyncio.sleep(0.1)
            await jobs.move(tx, job.id, JobStatus.SUBMITTING)
        with pytest.raises(CannotCancel):
            await canceling


# Commits without a confirmation


async def test_a_request_whose_commit_was_not_confirmed_is_read_again(
    relay: Relay, postgres_url: str, tmp_path: Path
) -> None:
    async with requests_on(relay.url, tmp_path) as (requests, _):
        relay.loss = Loss.AFTER_COMMIT
        job = (await requests.create(ADA, ROUTE, PictureRequest(1, "a fox", {}))).job

    assert await stored(postgres_url) == [job]


async def test_a_request_whose_commit_was_lost_is_refused(
    relay: Relay, postgres_url: str, tmp_path: Path
) -> None:
    async with requests_on(relay.url, tmp_path) as (requests, _):
        relay.loss = Loss.BEFORE_COMMIT
        with pytest.raises(NotNow) as caught:
            await requests.create(ADA, ROUTE, PictureRequest(1, "a fox", {}))

    assert not isinstance(caught.value, OutcomeUnknown)
    assert await stored(postgres_url) == []


async def test_a_request_that_cannot_be_read_again_may_be_stored(
    relay: Relay, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.studio.requests.READ_AGAIN", (0.0,))
    async with requests_on(relay.url, tmp_path) as (requests, _):
        relay.loss = Loss.AFTER_COMMIT
        relay.open = False  # for the connections after those that exist
        with pytest.raises(OutcomeUnknown, match=r"may have stored it\. See /jobs"):
            await requests.create(ADA, ROUTE, PictureRequest(1, "a fox", {}))

    assert len(await stored(postgres_url)) == 1


async def test_nul_is_no_part_of_a_request(postgres_url: str, tmp_path: Path) -> None:
    options = {"negative_prompt": "rain\0"}
    async with requests_on(postgres_url, tmp_path) as (requests, _):
        job = (await requests.create(ADA, ROUTE, PictureRequest(1, "a\0 fox", options))).job

    assert job.request.prompt == "a fox"
    assert job.request.options == {"negative_prompt": "rain"}
    assert await stored(postgres_url) == [job]


# The whole bot


async def test_members_are_answered_while_postgresql_is_away_and_afterwards(
    relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bot.worker.tasks.COOL_DOWN", 0.1)
    monkeypatch.setattr("bot.worker.worker.COOL_DOWN", 0.1)
    async with stage(tmp_path, postgres_url=relay.url) as at:
        at.oxen.manual = True
        async with at.easel():
            await at.imagine("a fox")
            await at.said("Drawing")
            relay.cut()
            refused = text_of(await at.imagine("a hare"))
            await at.finish()
            relay.open = True
            await at.result("a fox")
            at.oxen.manual = False
            await at.imagine("a wolf")
            await at.result("a wolf")
            done = await at.settled(2)

    assert "not possible right now" in refused
    assert {job.request.prompt for job in done} == {"a fox", "a wolf"}


@pytest.mark.long
async def test_a_crash_of_the_server_loses_and_doubles_nothing(
    postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = cluster.make_folder()
    url = await asyncio.to_thread(
        cluster.start, folder, fsync="on", full_page_writes="on", synchronous_commit="on"
    )
    try:
        async with stage(tmp_path, postgres_url=url) as at:
            at.oxen.manual = True
            async with at.easel():
                for number in range(3):
                    await at.imagine(f"fox {number}")
                    await at.oxen.created(number + 1)
                await asyncio.to_thread(cluster.kill, folder)
                refused = text_of(await at.imagine("a hare"))
                await at.finish()
                await asyncio.to_thread(cluster.resume, folder)
                for number in range(3):
                    await at.result(f"fox {number}")
                done = await at.settled(3)
            created = len(at.created())
            balance = await at.balance()
    finally:
        await asyncio.to_thread(cluster.remove, folder)

    assert "not possible right now" in refused
    assert created == len(done) == 3
    assert balance == -3 * 7_500


# The command line


async def command(folder: Path, *arguments: str, url: str) -> Ended:
    return await easel(folder, *arguments, DATABASE_URL=url)


@pytest.mark.long
async def test_the_commands_work_on_postgresql(
    own_postgres_url: str, postgres: Cluster, tmp_path: Path
) -> None:
    verified = await command(tmp_path, "ledger", "verify", url=own_postgres_url)
    migrated = await command(tmp_path, "migrate", url=own_postgres_url)
    copied = await command(tmp_path, "backup", "copy.db", url=own_postgres_url)

    assert (verified.code, verified.out) == (0, "0 entries, 0 jobs, 0 accounts: it adds up\n")
    assert (migrated.code, migrated.out) == (
        0,
        f"revision {REVISION} is this version's: nothing to do\n",
    )
    assert (copied.code, copied.errors.count("\n")) == (2, 1)
    assert "with pg_dump" in copied.errors


@pytest.mark.long
async def test_a_file_is_migrated_by_the_command_and_not_beside_a_bot(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    url = f"sqlite:///{path}"
    old = SQLiteDatabase(path)
    async with old._writer.begin() as connection:
        await connection.run_sync(upgrade, "0008")
    await old.close()
    with InstanceLock(path):
        beside = await command(tmp_path, "migrate", url=url)
    first = await command(tmp_path, "migrate", url=url)
    second = await command(tmp_path, "migrate", url=url)
    new = await command(tmp_path, "migrate", url=f"sqlite:///{tmp_path}/new.db")

    assert "in use by another Easel" in beside.errors
    assert first.out == f"migrated from revision 0008 to {REVISION}\n"
    assert second.out == f"revision {REVISION} is this version's: nothing to do\n"
    assert new.out == f"created with revision {REVISION}\n"


@pytest.mark.long
async def test_a_check_names_the_fault_and_no_password(
    own_postgres_url: str, tmp_path: Path, at: Stage
) -> None:
    parts = urlsplit(own_postgres_url)
    good = parts._replace(netloc=f"easel:S3CR+PW pw@{parts.netloc[6:]}").geturl()
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "SERVERS": str(at.server.id),
        "PICTURES_URL": f"file://{tmp_path}/pictures",
    }
    right = await easel(tmp_path, "check", **settings, DATABASE_URL=good)
    wrong = await easel(tmp_path, "check", **settings, DATABASE_URL=f"{good}-missing")
    run = await easel(tmp_path, "run", **settings, DATABASE_URL=f"{good}-missing")
    del settings["PICTURES_URL"]
    homeless = await easel(tmp_path, "check", **settings, DATABASE_URL=good)

    assert f"revision {REVISION}" in right.out
    assert "0 entries, 0 jobs, 0 accounts: it adds up" in right.out
    assert (right.code, wrong.code, run.code, homeless.code) == (0, 1, 2, 1)
    assert "PICTURES_URL is not set" in homeless.out
    assert "-missing does not exist" in wrong.out
    assert run.errors.count("\n") == 1
    for ended in (right, wrong, run):
        assert "S3CR" not in ended.out + ended.errors


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("sqlite:///data/easel.db", set()),
        ("postgresql://u@h/easel", set()),
        ("postgresql://u:a%20password@h/easel", {"a%20password", "a password"}),
        ("postgresql://h/easel?user=u&password=a+password", {"a password"}),
    ],
)
def test_the_log_hides_the_password_of_the_database(url: str, hidden: set[str]) -> None:
    settings = Settings.read(None, {"DATABASE_URL": url})

    assert {*settings.secrets} == (hidden and {url, *hidden})
    assert url not in repr(settings)
