"""The audit of a PostgreSQL database: the same books as in a file, and changes by hand."""

# ruff: noqa: S608  # the statements consist of constants of this module

import pytest

from bot.config import Config
from bot.store.audit import Verification, verify
from bot.store.backends import inspected, open_database
from tests.support.books import QUEUED, REPORTED, RUNNING, write_books
from tests.support.cluster import Cluster

pytestmark = pytest.mark.long

CHANGES = [
    (
        "a trigger that is gone",
        "DROP TRIGGER ledger_refuses_delete ON ledger",
        "schema: trigger ledger_refuses_delete on ledger is missing or changed",
    ),
    (
        "a trigger that is disabled",
        "ALTER TABLE ledger DISABLE TRIGGER ledger_refuses_update",
        "schema: trigger ledger_refuses_update on ledger is missing or changed",
    ),
    (
        "a trigger that does nothing",
        "CREATE OR REPLACE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NULL; END'",
        "schema: trigger ledger_refuses_truncate on ledger is missing or changed",
    ),
    (
        "another trigger",
        "CREATE TRIGGER another BEFORE INSERT ON jobs FOR EACH STATEMENT "
        "EXECUTE FUNCTION ledger_refuses()",
        "schema: trigger another on jobs is none of Easel's",
    ),
    (
        "a rule",
        "CREATE RULE nothing AS ON INSERT TO jobs DO INSTEAD NOTHING",
        "schema: rule nothing on jobs is none of Easel's",
    ),
    (
        "another type",
        "ALTER TABLE ledger ALTER amount TYPE numeric",
        "schema: column ledger.amount is missing or changed",
    ),
    (
        "a column that may be empty",
        "ALTER TABLE ledger ALTER amount DROP NOT NULL",
        "schema: column ledger.amount is missing or changed",
    ),
    (
        "another column",
        "ALTER TABLE ledger ADD note text",
        "schema: column ledger.note is none of Easel's",
    ),
    (
        "a check that is gone",
        "ALTER TABLE ledger DROP CONSTRAINT ck_ledger_kind",
        "schema: check ledger (kind) is missing or changed",
    ),
    (
        "a check that allows another word",
        "ALTER TABLE jobs DROP CONSTRAINT ck_jobs_status; ALTER TABLE jobs ADD CONSTRAINT "
        "ck_jobs_status CHECK (status IN ('queued', 'submitting', 'running', 'succeeded', "
        "'failed', 'canceled', 'lost'))",
        "schema: check jobs (status) is missing or changed",
    ),
    (
        "a check that was not made of the rows",
        "ALTER TABLE rights DROP CONSTRAINT ck_rights_subject; ALTER TABLE rights ADD CONSTRAINT "
        "ck_rights_subject CHECK (subject IN ('default', 'tier', 'role', 'member')) NOT VALID",
        "schema: check rights (subject) is missing or changed",
    ),
    (
        "a check with the same words in another sense",
        "ALTER TABLE rights DROP CONSTRAINT ck_rights_subject; ALTER TABLE rights ADD CONSTRAINT "
        "ck_rights_subject CHECK (subject NOT IN ('default', 'tier', 'role', 'member')) NOT VALID",
        "schema: check rights (subject) is missing or changed",
    ),
    (
        "another check",
        "ALTER TABLE jobs ADD CHECK (price > 5)",
        "schema: check jobs (price) is none of Easel's",
    ),
    (
        "a foreign key that was not made of the rows",
        "ALTER TABLE generations DROP CONSTRAINT fk_generations_job_id; "
        "ALTER TABLE generations ADD CONSTRAINT fk_generations_job_id "
        "FOREIGN KEY (job_id) REFERENCES jobs (id) NOT VALID",
        "schema: foreign key generations (job_id) is missing or changed",
    ),
    (
        "a foreign key to another table",
        "ALTER TABLE generations DROP CONSTRAINT fk_generations_job_id; "
        "ALTER TABLE generations ADD CONSTRAINT fk_generations_job_id "
        "FOREIGN KEY (job_id) REFERENCES notes (name) NOT VALID",
        "schema: foreign key generations (job_id) is missing or changed",
    ),
    (
        "a unique constraint that is gone",
        "ALTER TABLE ledger DROP CONSTRAINT uq_ledger_job_id_kind_reason",
        "schema: unique ledger (job_id, kind, reason) is missing or changed",
    ),
    (
        "a unique index that is gone",
        "DROP INDEX ix_jobs_origin_id",
        "schema: unique jobs (origin_id) is missing or changed",
    ),
    (
        "a foreign key that is gone",
        "ALTER TABLE generations DROP CONSTRAINT fk_generations_job_id",
        "schema: foreign key generations (job_id) is missing or changed",
    ),
    (
        "a table that is gone",
        "DROP TABLE notes",
        "schema: column notes.name is missing or changed",
    ),
    (
        "a job that is gone",
        f"ALTER TABLE jobs DISABLE TRIGGER ALL; DELETE FROM jobs WHERE id = '{RUNNING}'",
        "generation 13: belongs to a row of jobs that is missing",
    ),
    (
        "a word that Easel does not know",
        f"UPDATE jobs SET reason = 'luck' WHERE id = '{REPORTED}'",
        f"job {REPORTED}: reason is none of the words that Easel stores in jobs",
    ),
    (
        "a sequence behind its rows",
        "ALTER SEQUENCE generations_id_seq RESTART WITH 2",
        "generations: the sequence is at 0, and the newest id 15",
    ),
    (
        "a clock that was set back",
        "UPDATE ledger SET created_at = created_at - interval '2 hours' WHERE id = 10",
        "entry 10: has an earlier time than entry 9 before it",
    ),
    (
        "a sum of a budget",
        "UPDATE sums SET amount = amount + 1000 WHERE scope = 'bot'",
        "sum of bot at 2026-11-21 12:00: is -151 where -152 is right",
    ),
    (
        "rights that cannot be read",
        "UPDATE rights SET rights = '{\"pictures\": 11}' WHERE subject = 'role'",
        "row 10, role, 77 of rights: has rights that cannot be read",
    ),
    (
        "settings that cannot be read",
        "UPDATE servers SET settings = '{\"zones\": 7}'",
        "row 10 of servers: has settings that cannot be read",
    ),
    (
        "an amount",
        f"UPDATE ledger SET amount = amount - 1 WHERE job_id = '{QUEUED}'",
        f"job {QUEUED}: adds up to -7.501 where -7.5 is right",
    ),
]


async def verified(url: str) -> Verification:
    async with inspected(url) as database, database.reading() as view:
        return await verify(view, Config.load(None, {}).charges())


async def test_the_books_add_up(own_postgres_url: str) -> None:
    await write_books(open_database(own_postgres_url))

    found = await verified(own_postgres_url)

    assert found.findings == ()
    assert (found.jobs, found.entries) == (18, 53)


async def test_a_database_without_rows_adds_up(postgres_url: str) -> None:
    found = await verified(postgres_url)

    assert found.summary == "0 entries, 0 jobs, 0 accounts: it adds up"


async def test_a_transaction_that_was_rolled_back_leaves_no_finding(
    own_postgres_url: str, postgres: Cluster
) -> None:
    await write_books(open_database(own_postgres_url))
    await postgres.execute("SELECT nextval('ledger_id_seq')", url=own_postgres_url)

    assert (await verified(own_postgres_url)).findings == ()


@pytest.mark.parametrize(("statement", "finding"), [each[1:] for each in CHANGES], ids=str)
async def test_a_change_by_hand_is_found(
    own_postgres_url: str, postgres: Cluster, statement: str, finding: str
) -> None:
    await write_books(open_database(own_postgres_url))
    await postgres.execute(
        "SET session_replication_role = replica; " + statement, url=own_postgres_url
    )

    found = [str(each) for each in (await verified(own_postgres_url)).findings]

    assert finding in found


async def test_an_entry_without_its_job_is_found_once(
    own_postgres_url: str, postgres: Cluster
) -> None:
    await write_books(open_database(own_postgres_url))
    await postgres.execute(
        f"SET session_replication_role = replica; DELETE FROM jobs WHERE id = '{QUEUED}'",
        url=own_postgres_url,
    )

    assert [str(each) for each in (await verified(own_postgres_url)).findings] == [
        f"entry 36: a hold of -7.5 for job {QUEUED}, which is missing",
        "account of user 1, server 10: has a balance of -118.75 where -111.25 is right",
    ]


@pytest.mark.parametrize(("ago", "is_found"), [("3600", False), ("3600.000001", True)])
async def test_a_clock_may_be_set_back_by_an_hour(
    own_postgres_url: str, postgres: Cluster, ago: str, is_found: bool
) -> None:
    await write_books(open_database(own_postgres_url))
    moment = f"(SELECT created_at - interval '{ago} seconds' FROM ledger WHERE id = 53)"
    await postgres.execute(
        "INSERT INTO ledger (user_id, server_id, kind, amount, granted, counted_at, reason, "
        f"details, created_at) VALUES (1, 10, 'grant', 1, 1, {moment}, '', '{{}}', {moment})",
        url=own_postgres_url,
    )

    found = [str(each) for each in (await verified(own_postgres_url)).findings]

    says = "entry 54: has an earlier time than entry 53 before it"
    assert found == ([says] if is_found else [])


async def test_a_favourite_of_a_job_that_is_gone_is_named_by_its_key(
    own_postgres_url: str, postgres: Cluster
) -> None:
    await write_books(open_database(own_postgres_url))
    await postgres.execute(
        "SET session_replication_role = replica; "
        "INSERT INTO favourites VALUES (5, 'gone', '2026-11-21 12:00:00+00')",
        url=own_postgres_url,
    )

    assert [str(each) for each in (await verified(own_postgres_url)).findings] == [
        "row 5, gone of favourites: belongs to a row of jobs that is missing"
    ]
