"""`easel ledger export` and `easel ledger adjust`; `verify` is tested in tests/store/audit."""

import csv
import io
import json
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from bot.backoff import utc_now
from bot.errors import StartupError
from bot.ledger import Account, EntryKind, LedgerEntry
from bot.ledger_commands import COLUMNS, WRITERS, Adjustment, Format, _adjust, _export, csv_writer
from bot.periods import month_of
from bot.store import ledger
from bot.store.audit import verify
from bot.store.backends import open_database
from bot.store.sqlite import SQLiteDatabase
from tests.support.books import GIFTED, GRANTED, SKILLS, charges, write_books
from tests.support.command_line import easel
from tests.support.easel import Stage
from tests.support.pseudonyms import pseudonymise
from tests.support.rows import NOW


async def exported(url: str, as_format: Format) -> str:
    out = io.StringIO(newline="")
    await _export(url, WRITERS[as_format](out))
    return out.getvalue()


async def test_an_export_has_every_entry_with_its_amounts_in_credits(database_url: str) -> None:
    await write_books(open_database(database_url))

    rows = [*csv.DictReader(io.StringIO(await exported(database_url, Format.CSV)))]
    lines = [json.loads(line) for line in (await exported(database_url, Format.JSONL)).splitlines()]

    assert [int(row["id"]) for row in rows] == [line["id"] for line in lines] == [*range(1, 54)]
    assert {tuple(row) for row in rows} == {tuple(line) for line in lines} == {COLUMNS}
    (captured,) = [row for row in rows if (row["job_id"], row["kind"]) == (GRANTED, "capture")]
    (charged,) = [line for line in lines if (line["job_id"], line["kind"]) == (SKILLS, "capture")]
    assert (captured["amount"], captured["granted"], captured["provider"]) == (
        "-7.75",
        "-2.5",
        "oxen",
    )
    assert json.loads(captured["details"]) == {"usd": "0.0775"}
    assert captured["counted_at"] == "2026-11-21T12:00:00+00:00"
    assert (charged["amount"], charged["granted"], charged["user_id"]) == (-23, 0, "1")
    assert charged["details"] == {"total": "23", "subscription": "20", "permanent": "3"}
    assert sum(float(row["amount"]) for row in rows) == sum(line["amount"] for line in lines)


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_calculate_is_made_harmless(reason: str) -> None:
    out = io.StringIO(newline="")
    entry = LedgerEntry(Account(1, 2), EntryKind.ADJUSTMENT, -1500, NOW, NOW, reason=reason)

    csv_writer(out)(1, entry)

    (row,) = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    assert row["reason"] == f"'{reason}"
    assert (row["amount"], row["granted"]) == ("-1.5", "0")  # numbers stay numbers


async def test_an_adjustment_is_an_entry_of_the_account(database_url: str) -> None:
    await write_books(open_database(database_url))
    async with open_database(database_url) as running:  # as the bot has it open
        async with running.reading() as view:
            before = await ledger.usage_of(view, GIFTED.user_id, NOW, 100_000)
            spent = await ledger.spent(view, "server:10", month_of(NOW))

        for amount in ("12.5", "-0.001"):
            adjustment = Adjustment.parse("4", amount, "10", " paid  twice\n")
            await _adjust(database_url, adjustment)

        async with running.reading() as view:
            found = [entry async for _, entry in ledger.all_entries(view, page=7)][-2:]
            assert (await verify(view, charges())).findings == ()
            moment = found[0].created_at
            assert await ledger.spent(view, "server:10", month_of(NOW)) == spent - (
                12_499 if month_of(moment) == month_of(NOW) else 0
            )
            usage = await ledger.usage_of(view, GIFTED.user_id, moment, None)
    assert [(each.kind, each.amount, each.account, each.job_id) for each in found] == [
        (EntryKind.ADJUSTMENT, 12_500, GIFTED, None),
        (EntryKind.ADJUSTMENT, -1, GIFTED, None),
    ]
    assert {each.reason for each in found} == {"paid twice"}
    assert usage.used == (before.used if month_of(moment) == month_of(NOW) else 0) - 12_499


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("4", "0", "10", "x"), "AMOUNT is 0: there is nothing to correct"),
        (("4", "-0.000", "10", "x"), "AMOUNT is 0"),
        *(
            (("4", amount, "10", "x"), r"AMOUNT takes credits, e\.g\. 12\.5 .* 1,000,000 at most")
            for amount in ("", "much", "nan", "sNaN", "inf", "0.0001", "1000000.001", "1e12")
        ),
        *(
            (("4", amount, "10", "x"), "AMOUNT takes credits")
            for amount in ("-1e999999", "1e-999999")
        ),
        (("ada", "1", "10", "x"), "USER takes an id of Discord"),
        (("--4", "1", "10", "x"), "USER takes an id"),
        (("-4.5", "1", "10", "x"), "USER takes an id"),
        (("4", "1", "-10", "x"), "--server takes an id of Discord"),
        (("9" * 5000, "1", "10", "x"), "USER takes an id"),
        ((str(2**63), "1", "10", "x"), "USER takes an id"),
        (("4", "1", "ten", "x"), "--server takes an id of Discord"),
        (("4", "1", "10", " \n"), "--reason is empty. Say why"),
        (("4", "1", "10", "x" * 201), "--reason is longer than 200 characters"),
    ],
)
def test_a_wrong_adjustment_is_refused(arguments: tuple[str, str, str, str], says: str) -> None:
    with pytest.raises(StartupError, match=says):
        Adjustment.parse(*arguments)


async def test_the_account_of_a_deleted_member_is_exported_and_adjusted(database_url: str) -> None:
    await write_books(open_database(database_url))
    async with open_database(database_url) as running:
        pseudonym = await pseudonymise(running, GIFTED.user_id)
        await _adjust(database_url, Adjustment.parse(str(pseudonym), "-2", "10", "paid twice"))
        async with running.reading() as view:
            usage = await ledger.usage_of(view, GIFTED.user_id, utc_now(), None)
            assert (await verify(view, charges())).findings == ()

    rows = [*csv.DictReader(io.StringIO(await exported(database_url, Format.CSV)))]
    lines = [json.loads(line) for line in (await exported(database_url, Format.JSONL)).splitlines()]
    of_member = [row["amount"] for row in rows if row["user_id"] == str(pseudonym)]
    assert of_member[-1] == "-2"
    assert len(of_member) == len([each for each in lines if each["user_id"] == str(pseudonym)]) > 3
    assert not [row for row in rows if row["user_id"] == str(GIFTED.user_id)]
    assert usage.used >= 2_000


async def test_a_pseudonym_is_no_option_of_the_command(tmp_path: Path) -> None:
    account = ("-4611686018427387903", "0", "--server", "10")
    refused = await easel(tmp_path, "ledger", "adjust", *account, "--reason", "paid twice")

    assert (refused.code, "AMOUNT is 0" in refused.errors) == (2, True)


@pytest.mark.parametrize("amount", ["1000000", "-1000000", "0.001", "1e3"])
def test_the_limits_of_an_adjustment(amount: str) -> None:
    assert Adjustment.parse("0", amount, "0", "x" * 200).amount == round(float(amount) * 1000)


@pytest.mark.long
async def test_the_commands_work_beside_a_running_bot(at: Stage) -> None:
    url = f"sqlite:///{at.path}"
    async with at.easel():
        await at.imagine()
        await at.settled()

        account = (str(at.ada.id), "-2.5", "--server", str(at.server.id))
        done = await easel(
            at.folder, "ledger", "adjust", *account, "--reason", "-1", DATABASE_URL=url
        )
        refused = await easel(
            at.folder, "ledger", "adjust", *account, "--reason", "", DATABASE_URL=url
        )
        shown = await easel(at.folder, "ledger", "export", DATABASE_URL=url)
        written = await easel(
            at.folder, "ledger", "export", "--format", "jsonl", "l.jsonl", DATABASE_URL=url
        )
        again = await easel(at.folder, "ledger", "export", "l.jsonl", DATABASE_URL=url)
        await at.imagine()
        await at.settled(2)

    said = f"user {at.ada.id}, server {at.server.id}: adjusted by -2.5 credits\n"
    assert (done.code, done.out, done.errors) == (0, said, "")
    assert (refused.code, refused.errors) == (
        2,
        "easel: --reason is empty. Say why the account is corrected.\n",
    )
    rows = [*csv.reader(io.StringIO(shown.out))]
    assert (len(rows), rows[0], shown.errors) == (5, [*COLUMNS], "4 entries\n")
    assert rows[-1][-2] == "'-1"
    file = at.folder / "l.jsonl"
    assert (written.code, written.out, file.read_text().count("\n")) == (0, "", 4)
    assert (again.code, again.errors) == (
        2,
        "easel: l.jsonl exists already. Name a file that does not.\n",
    )


async def test_an_export_that_cannot_be_written_leaves_no_file(empty_file: Path) -> None:
    await write_books(SQLiteDatabase(empty_file))

    def full(*_: object) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await _export(f"sqlite:///{empty_file}", full)


@pytest.mark.long
async def test_a_hundred_thousand_entries_are_exported_in_constant_memory(
    empty_file: Path,
) -> None:
    await write_books(SQLiteDatabase(empty_file))
    with closing(sqlite3.connect(empty_file)) as connection:
        connection.execute(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number "
            "WHERE n < 100000) INSERT INTO ledger (user_id, server_id, kind, amount, counted_at, "
            "reason, details, created_at) SELECT 1, 10, 'adjustment', n, created_at, 'x', '{}', "
            "created_at FROM number, (SELECT created_at FROM ledger LIMIT 1)"
        )
        connection.commit()
    written: list[int] = []

    def count(number: int, _: LedgerEntry) -> None:
        written[:] = [number]

    tracemalloc.start()
    exported = await _export(f"sqlite:///{empty_file}", count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (exported, written) == (100_053, [100_053])
    assert peak < 10_000_000  # bytes
