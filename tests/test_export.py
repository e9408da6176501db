"""The export of a member's data: complete, without others', and divided among ZIP files."""

import csv
import io
import json
import secrets
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from bot.data_export import Table, Text, Zip
from bot.jobs import Picture
from bot.ledger import Account, EntryKind, LedgerEntry
from bot.pictures import FileStore
from bot.pseudonyms import Pseudonyms
from bot.store import ledger
from bot.store.backends import open_database
from bot.store.database import Database
from bot.store.exporting import HIDDEN, MemberRows
from bot.store.tables import jobs, metadata
from bot.studio.export.collect import Bounds, Export, ExportNotWritten
from bot.studio.export.readme import Missing
from bot.studio.export.records import file_of
from tests.support.files import picture
from tests.support.member_data import (
    ADA,
    BEN,
    MIB,
    README,
    SERVER,
    Written,
    lines,
    store_two,
    stored_job,
    written,
)
from tests.support.rows import NOW
from tests.support.stores import Shelf

MINUTE = timedelta(minutes=1)
TABLES = {"requests", "ledger", "favourites", "rights", "changes", "warnings", "stopped"}
# The records of an export that belong to a table whose rows name members.
RECORDS = {
    "jobs": "requests",
    "ledger": "ledger",
    "favourites": "favourites",
    "changes": "changes",
    "preferences": None,  # in member.json, like the next
    "erasures": None,
}


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "pictures")


def texts_of(found: Written) -> str:
    """Return all texts, and the names of all files."""
    named = [
        name.encode() + data * (not name.endswith(".png")) for name, data in found.files.items()
    ]
    return b"\n".join(named).decode()


def left_out(found: Written) -> list[tuple[str | None, str]]:
    return [(line["file"], line["reason"]) for line in found.lines("left-out")]


async def test_an_export_holds_everything_about_the_member(
    opened: Database, store: FileStore
) -> None:
    two = await store_two(opened, store)

    found = await written(opened, store)

    assert len(found.zips) == 1
    kept = [two.attached, two.drawn, two.changed]
    tables = {f"{name}.{kind}" for name in TABLES | {"left-out"} for kind in ("jsonl", "csv")}
    assert {*found.files} == {README, "member.json", *tables, *map(file_of, kept)}
    for each in kept:
        assert found.files[file_of(each)] == await store.read(each)
    about = json.loads(found.files["member.json"])
    assert (about["user_id"], about["choices"]) == (
        str(ADA),
        {"notify": "silent", "changed_at": "2026-11-21T12:00:00+00:00"},
    )
    assert about["requested_deletion"]["with_results"] is True
    second, first = found.lines("requests")
    assert (first["id"], second["id"]) == (two.first.id, two.second.id)
    assert (first["prompt"], first["expanded_prompt"]) == (
        "=a fox of Ada",
        "=a fox of Ada, drawn longer",
    )
    assert (first["price"], first["cost"], first["status"]) == (7.5, 7.75, "succeeded")
    assert (first["options"], first["canceled_by_moderator"]) == ({"seed": 7}, True)
    assert first["created_at"] == "2026-11-21T12:00:00+00:00"
    assert (first["guild_id"], first["account_server_id"]) == (None, str(SERVER))
    (given,) = first["inputs"]
    assert (given["name"], given["url"]) == ("cat.png", two.first.inputs[0].url)
    assert [(each["role"], each["file"]) for each in first["pictures"]] == [
        ("output", file_of(two.drawn)),
        ("input", file_of(two.attached)),
    ]
    assert [each["remote_id"] for each in first["generations"]] == [f"remote-{two.first.id}"]
    assert [(each["kind"], each["amount"]) for each in found.lines("ledger")][:3] == [
        ("capture", -7.75),
        ("release", 7.5),
        ("hold", -7.5),
    ]
    assert [each["job_id"] for each in found.lines("favourites")] == [two.other.id]
    (rights,) = found.lines("rights")
    assert (rights["server_id"], rights["rights"]["allowance"]["amount"]) == (str(SERVER), 1.5)
    assert {(each["subject"], each["by_you"]) for each in found.lines("changes")} == {
        (f"member <@{ADA}>: allowance", False),
        ("member another member: allowance", True),
    }
    warned = [each["server_id"] for each in found.lines("warnings")]
    assert {*warned} == {None, str(SERVER)}
    assert [each["job_id"] for each in found.lines("stopped")] == [two.other.id]


async def test_every_table_that_names_members_is_exported(
    opened: Database, store: FileStore
) -> None:
    await store_two(opened, store)
    found = await written(opened, store)
    tables = [each for each in metadata.sorted_tables if "user_id" in each.c]

    assert {each.name for each in tables} == {*RECORDS}
    async with opened.reading() as view:
        for table in tables:
            count = select(func.count()).select_from(table).where(table.c.user_id == ADA)
            rows = (await view.execute(count)).scalar_one()
            name = RECORDS[table.name]
            about = 1 if table.name == "changes" else 0  # a manager's change of Ada's rights
            assert rows
            assert name is None or len(found.lines(name)) == rows + about
    (first, *_) = found.lines("requests")
    assert {each.name for each in jobs.c} - HIDDEN <= {*first}
    for name in TABLES:
        header = found.files[f"{name}.csv"].decode("utf-8-sig").split("\r\n", 1)[0]
        assert header.split(",") == [*found.lines(name)[0]]


async def test_nothing_of_others_and_nothing_that_opens_something_is_exported(
    opened: Database, store: FileStore
) -> None:
    two = await store_two(opened, store)
    found = await written(opened, store)

    text = texts_of(found)
    for foreign in (
        str(BEN),
        two.other.request.prompt,
        two.of_ben.sha256,
        "remote-" + two.other.id,
    ):
        assert foreign not in text
    for secret in ("interaction-token", *(str(each.secret) for each in (two.first, two.second))):
        assert secret not in text
    assert file_of(two.of_ben) not in found.files
    assert left_out(found) == [(None, Missing.FOREIGN)]
    (second, _) = found.lines("requests")
    assert second["pictures"][1] == {"role": "input", "position": 0, "file": None}


async def test_a_picture_belongs_to_whoever_used_it_first(
    opened: Database, store: FileStore
) -> None:
    """Another member may use the picture in between."""
    own, out = await store.store(picture()), [await store.store(picture()) for _ in range(3)]
    for number, user_id in enumerate((ADA, BEN, ADA)):
        at = NOW + number * MINUTE
        await stored_job(opened, user_id, "a hat", [out[number]], [own], at=at)

    found, bens = await written(opened, store), await written(opened, store, BEN)

    assert found.files[file_of(own)] == await store.read(own)
    assert left_out(found) == []
    assert file_of(own) not in bens.files
    assert file_of(out[1]) in bens.files


async def test_cells_are_harmless_in_a_spreadsheet(opened: Database, store: FileStore) -> None:
    await store_two(opened, store)
    found = await written(opened, store)

    data = found.files["requests.csv"].decode("utf-8-sig")
    rows = [*csv.DictReader(io.StringIO(data, newline=""))]
    assert rows[1]["prompt"] == "'=a fox of Ada"
    assert (rows[1]["cost"], rows[1]["private"], rows[1]["reason"]) == ("7.75", "false", "")
    assert json.loads(rows[1]["options"]) == {"seed": 7}
    entries = found.files["ledger.csv"].decode("utf-8-sig")
    assert next(csv.DictReader(io.StringIO(entries)))["amount"] == "-7.75"


def test_the_size_of_a_zip_is_known_before_it_is_written(tmp_path: Path) -> None:
    """The bound holds also if nothing can be compressed."""
    (tmp_path / "a.png").write_bytes(picture())
    text = Text.of("ä.txt", secrets.token_bytes(200_000))
    made = Zip(tmp_path / "a.zip", 10**6, NOW)
    made.add_file("pictures/a.png", tmp_path / "a.png")
    made.add_text(text)
    made.close()

    assert (tmp_path / "a.zip").stat().st_size == made.size
    assert made.fits("b", 10**6 - made.size - 76 - 2)
    assert not made.fits("b", 10**6 - made.size - 76 - 1)


def test_any_text_is_a_line_and_a_row() -> None:
    """The text may have halves of surrogate pairs, and other characters that end a line."""
    odd = "a\u2028b\x85c\nd\ud800\0"
    table = Table("odd", ["text"], 10_000)
    texts = {each.name: each.data for each in [*table.extend([{"text": odd}]), *table.end()]}

    assert lines(texts, "odd") == [{"text": odd.replace("\ud800", "?")}]
    rows = csv.reader(io.StringIO(texts["odd.csv"].decode("utf-8-sig"), newline=""))
    assert [*rows] == [["text"], [odd.replace("\ud800", "?")]]


async def test_a_member_without_rows_has_nothing(opened: Database, store: FileStore) -> None:
    await store_two(opened, store)
    for user_id, stored in ((ADA, True), (BEN, True), (ADA // 10, False), (4, False)):
        assert await MemberRows(opened, user_id).exist() is stored


async def test_the_rows_of_the_pseudonym_belong_to_the_member(
    opened: Database, store: FileStore
) -> None:
    pseudonyms = Pseudonyms(SecretStr("k" * 32))
    entry = LedgerEntry(Account(pseudonyms.of(ADA), SERVER), EntryKind.GRANT, 5000, NOW, NOW)
    async with opened.transaction() as tx:
        await ledger.append(tx, entry)
    assert not await MemberRows(opened, ADA).exist()
    opened.use_pseudonyms(pseudonyms)

    assert await MemberRows(opened, ADA).exist()
    found = await written(opened, store)
    assert [each["amount"] for each in found.lines("ledger")] == [5]
    assert str(pseudonyms.of(ADA)) not in texts_of(found)


async def drawings(database: Database, store: FileStore, number: int, size: int) -> list[Picture]:
    """Store jobs with a picture each, and return the pictures, the oldest first."""
    found = []
    for each in range(number):
        found.append(await store.store(picture().ljust(size, b"\0")))
        await stored_job(database, ADA, f"picture {each}", found[-1:], at=NOW + each * MINUTE)
    return found


async def test_an_export_over_the_limit_is_several_zips(opened: Database, store: FileStore) -> None:
    made = await drawings(opened, store, 12, 20_000)

    found = await written(opened, store, limit=64 * 1024)

    assert len(found.zips) > 4
    assert {name for name in found.files if name.startswith("pictures/")} == {*map(file_of, made)}
    assert len(found.lines("requests")) == 12
    assert left_out(found) == []
    first = found.parts[0]
    assert abs(first.total - len(found.zips)) <= 2


@pytest.mark.long
async def test_long_tables_are_divided_between_records(opened: Database, store: FileStore) -> None:
    account = Account(ADA, SERVER)
    times = {each: NOW + (each // 7) * MINUTE for each in range(1, 1501)}  # seven share one
    entries = [
        LedgerEntry(
            account, EntryKind.GRANT, each, at, at, reason=f"{each}\n{secrets.token_hex(90)}"
        )
        for each, at in times.items()
    ]
    async with opened.transaction() as tx:
        await ledger.append(tx, *entries)

    found = await written(opened, store, limit=100_000)

    assert len(found.zips) > 2
    assert "ledger.jsonl" not in found.files
    amounts = [round(each["amount"] * 1000) for each in found.lines("ledger")]
    assert amounts == [*range(1500, 0, -1)]
    rows: list[dict[str, str]] = []
    for number in range(1, 100):
        if data := found.files.get(f"ledger-{number}.csv"):
            text = data.decode("utf-8-sig")
            rows += csv.DictReader(io.StringIO(text, newline=""))
    assert [round(float(row["amount"]) * 1000) for row in rows] == amounts
    assert all(row["reason"].count("\n") == 1 for row in rows)


async def test_a_picture_over_the_limit_is_named_with_the_way_to_get_it(
    opened: Database, store: FileStore
) -> None:
    small, large = await drawings(opened, store, 1, 5000), await drawings(opened, store, 1, 70_000)

    found = await written(opened, store, limit=64 * 1024)

    assert file_of(small[0]) in found.files
    assert left_out(found) == [(file_of(large[0]), Missing.TOO_LARGE)]
    assert "Originals" in Missing.TOO_LARGE
    assert found.parts[-1].left_out == 1


async def test_a_bound_leaves_out_the_oldest_pictures(opened: Database, store: FileStore) -> None:
    made = await drawings(opened, store, 12, 20_000)

    found = await written(opened, store, limit=64 * 1024, most=4)

    assert len(found.zips) == 4
    missing = [name for name, why in left_out(found) if why == Missing.TOO_MANY]
    assert 0 < len(missing) < 12
    assert missing == [file_of(each) for each in made[: len(missing)][::-1]]
    assert all(file_of(each) in found.files for each in made[len(missing) :])
    assert "easel data export" in Missing.TOO_MANY
    assert [part.total for part in found.parts] == [4] * 4


async def test_a_picture_that_retention_has_removed_is_named(
    opened: Database, store: FileStore
) -> None:
    made = await drawings(opened, store, 2, 5000)
    store.path(made[0]).unlink()

    found = await written(opened, store)

    assert left_out(found) == [(file_of(made[0]), Missing.GONE)]
    assert file_of(made[1]) in found.files


async def test_pictures_come_from_either_store(shelf: Shelf, database: Database) -> None:
    two = await store_two(database, shelf.store)

    found = await written(database, shelf.store)

    assert found.files[file_of(two.drawn)] == await shelf.store.read(two.drawn)


async def test_a_file_that_cannot_be_written_ends_the_export(
    database: Database, store: FileStore
) -> None:
    await store_two(database, store)

    @asynccontextmanager
    async def full() -> AsyncIterator[Path]:
        yield Path("/dev/full")

    export = Export(MemberRows(database, ADA), store, Bounds(MIB), NOW, full)
    with pytest.raises(ExportNotWritten) as caught:
        async with aclosing(export.parts()) as parts:
            await anext(parts)
    assert caught.value.detail == "No space left on device"


@pytest.mark.long
async def test_an_export_takes_constant_memory(database: Database, store: FileStore) -> None:
    await drawings(database, store, 60, MIB)
    rows = MemberRows(database, ADA)
    tracemalloc.start()
    export = Export(rows, store, Bounds(10 * MIB), NOW, store.arriving)
    sizes = []
    async with aclosing(export.parts()) as parts:
        async for part in parts:
            sizes.append(part.size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sum(sizes) > 60 * MIB
    assert peak < 12 * MIB
