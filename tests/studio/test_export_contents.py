"""What the files of an export have and leave out, at the boundaries; and the records in them."""

import errno
import io
import secrets
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.data_export import Text, size_with_headers
from bot.jobs import Picture, PictureKind
from bot.ledger import Account, EntryKind, LedgerEntry
from bot.pictures import FileStore
from bot.store import ledger, pictures
from bot.store.database import Database
from bot.store.pictures import Role
from bot.studio.export import collect, records
from bot.studio.export.collect import ExportNotWritten, Part
from bot.studio.export.readme import Missing
from bot.studio.export.records import file_of
from tests.support.files import picture
from tests.support.member_data import ADA, BEN, README, SERVER, Written, lines, stored_job, written
from tests.support.rows import NOW
from tests.support.studio import MINUTE, made

KIB = 1024


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "pictures")


async def drawn(store: FileStore, number: int, size: int = 5000) -> list[Picture]:
    return [await store.store(picture().ljust(size, b"\0")) for _ in range(number)]


def files_of(found: Written) -> list[str]:
    """Return the pictures in all files, each as often as it is there."""
    opened = [zipfile.ZipFile(io.BytesIO(data)) for data in found.zips]
    return [name for each in opened for name in each.namelist() if name.startswith("pictures/")]


async def test_pictures_that_others_took_are_exported_once(
    database: Database, store: FileStore
) -> None:
    """In messages of Ada: the first is taken twice, the second is one of her own requests too."""
    first, second, out = await drawn(store, 3)
    own = await stored_job(database, ADA, "own", [out], [second])
    of_ben = [
        await stored_job(database, BEN, "a hat", await drawn(store, 1), at=NOW + each * MINUTE)
        for each in range(2)
    ]
    async with database.transaction() as tx:
        for job, given in ((of_ben[0], [first, second]), (of_ben[1], [first])):
            authors = [ADA] * len(given)
            await pictures.attach(tx, job.id, Role.INPUT, given, NOW, authors=authors)

    found = await written(database, store)

    assert sorted(files_of(found)) == sorted(file_of(each) for each in (first, second, out))
    taken = found.lines("taken")
    assert sorted(each["file"] for each in taken) == sorted(map(file_of, (first, first, second)))
    assert {*taken[0]} == {"created_at", "size", "width", "height", "file"}
    (request,) = found.lines("requests")
    assert request["id"] == own.id
    assert {each["file"] for each in request["pictures"]} == {file_of(out), file_of(second)}


async def test_a_picture_of_several_requests_is_that_of_the_newest(
    database: Database, store: FileStore
) -> None:
    (small,), (large,) = await drawn(store, 1), await drawn(store, 1, 70_000)
    for each in range(3):
        await stored_job(database, ADA, f"{each}", [small, large], at=NOW + each * MINUTE)

    found = await written(database, store, limit=64 * KIB)

    assert files_of(found) == [file_of(small)]
    newest = found.lines("requests")[0]["id"]
    assert found.lines("left-out") == [
        {"file": file_of(large), "job_id": newest, "size": 70_000, "reason": Missing.TOO_LARGE}
    ]


async def test_what_is_left_out_names_no_other_members_picture(
    database: Database, store: FileStore
) -> None:
    (given,), (large,) = await drawn(store, 1), await drawn(store, 1, 70_000)
    await stored_job(database, BEN, "first", await drawn(store, 1), [given, large])
    later = NOW + MINUTE
    job = await stored_job(database, ADA, "second", await drawn(store, 1), [given], at=later)
    other = await stored_job(database, BEN, "third", await drawn(store, 1), at=later)
    async with database.transaction() as tx:
        await pictures.attach(tx, other.id, Role.INPUT, [large], NOW, authors=[ADA])

    left_out = (await written(database, store, limit=64 * KIB)).lines("left-out")

    foreign = {"file": None, "job_id": job.id, "size": None, "reason": Missing.FOREIGN}
    taken = {"file": file_of(large), "job_id": None, "size": 70_000, "reason": Missing.TOO_LARGE}
    assert left_out == [foreign, taken]


async def test_a_text_over_the_limit_is_left_out(database: Database, store: FileStore) -> None:
    await stored_job(database, ADA, "a fox", await drawn(store, 1))
    reason = secrets.token_hex(60_000)
    entry = LedgerEntry(Account(ADA, SERVER), EntryKind.GRANT, 1, NOW, NOW, reason=reason)
    async with database.transaction() as tx:
        await ledger.append(tx, entry)

    found = await written(database, store, limit=32 * KIB)

    opened = [zipfile.ZipFile(io.BytesIO(data)) for data in found.zips]
    files = {name: each.read(name) for each in opened for name in each.namelist()}
    left_out = lines(files, "left-out")
    assert {(each["reason"], each["job_id"]) for each in left_out} == {(Missing.TOO_LARGE, None)}
    assert all(each["file"].startswith("ledger") for each in left_out)
    assert len(left_out) == found.parts[-1].left_out == 2  # in both formats
    assert len(lines(files, "requests")) == len(files_of(found)) == 1


@pytest.mark.parametrize("over", [0, 1])
async def test_a_picture_that_just_fits_beside_the_readme_is_exported(
    database: Database, store: FileStore, over: int
) -> None:
    """1 KiB is spared, for the ends of the file."""
    readme = (await written(database, store)).files[README]
    beside = size_with_headers(README, Text.of(README, readme).size) + KIB
    name = file_of(made("any")[0])
    most = 64 * KIB - beside - size_with_headers(name, 0)
    (largest,) = await drawn(store, 1, most + over)
    await stored_job(database, ADA, "a fox", [largest])

    found = await written(database, store, limit=64 * KIB)

    assert files_of(found) == [file_of(largest)] * (not over)
    assert found.parts[-1].left_out == over


@pytest.mark.parametrize(("number", "further"), [(2, False), (3, True)])
async def test_a_long_list_of_what_is_left_out_is_cut(
    database: Database,
    store: FileStore,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    further: bool,
) -> None:
    monkeypatch.setattr(collect, "MOST_LISTED", 2)
    gone = await drawn(store, number)
    await stored_job(database, ADA, "a fox", gone)
    for each in gone:
        store.path(each).unlink()

    found = await written(database, store)

    rest = {"file": None, "job_id": None, "size": None, "reason": Missing.NOT_LISTED}
    listed = found.lines("left-out")
    assert [each["file"] for each in listed[:2]] == [file_of(each) for each in gone[:2]]
    assert listed[2:] == [rest] * further
    assert found.parts[-1].left_out == number


async def test_nothing_left_out_is_no_table(database: Database, store: FileStore) -> None:
    await stored_job(database, ADA, "a fox", await drawn(store, 1))
    found = await written(database, store)

    assert not any(name.startswith("left-out") for name in found.files)
    assert [part.left_out for part in found.parts] == [0]
    assert not any(name.startswith(("taken", "favourites")) for name in found.files)


@pytest.mark.parametrize(
    ("most", "totals", "shown"),
    [
        (None, [4, 4, 4, 4], 4),
        (5, [4, 4, 4, 4], 4),
        (4, [4, 4, 4, 4], 3),  # the last file has the table of what is left out
        (3, [3, 3, 3], 2),
        (2, [2, 2], 1),
    ],
)
async def test_the_number_of_files_is_told_before_the_last(
    database: Database, store: FileStore, most: int | None, totals: list[int], shown: int
) -> None:
    """Each file has room for one picture, but for a little."""
    await stored_job(database, ADA, "a fox", await drawn(store, 4, 58 * KIB))

    found = await written(database, store, limit=72 * KIB, most=most)

    assert [part.total for part in found.parts] == totals
    assert found.parts[-1].left_out == 4 - shown
    assert len(files_of(found)) == shown


async def test_a_file_whose_end_cannot_be_written_ends_the_export(
    database: Database, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored_job(database, ADA, "a fox", await drawn(store, 1))
    close = zipfile.ZipFile.close

    def full(self: zipfile.ZipFile) -> None:
        close(self)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "close", full)
    with pytest.raises(ExportNotWritten) as caught:
        await written(database, store)
    monkeypatch.undo()

    assert caught.value.detail == "No space left on device"
    assert not list(store.disk.glob("*.part"))


def test_a_file_is_the_last_by_its_number(tmp_path: Path) -> None:
    part = Part(tmp_path, "a.zip", size=1, number=1, total=2, left_out=0)

    assert not part.is_last
    assert replace(part, number=2).is_last


ROW: dict[str, Any] = {
    "job_id": "j",
    "sha256": "e" * 64,
    "kind": "jpg",
    "role": "input",
    "position": 0,
    "size": 9,
    "width": 3,
    "height": 2,
    "foreign": False,
}


def test_amounts_are_credits_and_ids_are_texts() -> None:
    row = {
        "id": "a",
        "price": 7500,
        "cost": None,
        "granted": -1,
        "guild_id": 2**62,
        "origin_id": None,
        "private": True,
        "estimated": False,
        "seconds": 5,
    }

    (found,) = records.plain_records([row])
    assert found == {
        **row,
        "price": Decimal("7.5"),
        "granted": Decimal("-0.001"),
        "guild_id": str(2**62),
    }
    assert found["private"] is True


def test_rights_have_their_allowance_in_credits() -> None:
    stored = {"allowance": {"amount": 1500, "period": "day"}, "jobs": 2}
    rows = [{"server_id": 5, "rights": stored}, {"server_id": 6, "rights": {"jobs": 2}}]

    assert records.rights(rows) == [
        {"server_id": "5", "rights": {**stored, "allowance": {"amount": 1.5, "period": "day"}}},
        {"server_id": "6", "rights": {"jobs": 2}},
    ]


def test_a_change_names_the_member_alone() -> None:
    row = {
        "created_at": NOW,
        "server_id": 5,
        "by_you": 1,
        "subject": "member <@1>: allowance",
        "before": "<@!1> and <@12>",
        "after": "role <@&7>, channel <#8>",
    }

    assert records.changes([row, {**row, "by_you": 0}], 1) == [
        {
            "created_at": NOW,
            "server_id": "5",
            "by_you": by_you,
            "subject": "member <@1>: allowance",
            "before": "another member and another member",
            "after": "role <@&7>, channel <#8>",
        }
        for by_you in (True, False)
    ]


def test_a_warning_names_the_server_of_the_allowance() -> None:
    rows = [{"scope": scope, "begins_at": NOW} for scope in ("member:5:1", "month:1")]

    assert [each["server_id"] for each in records.warnings(rows)] == ["5", None]


def test_rows_are_found_by_their_job() -> None:
    found = records.by_job([ROW, {**ROW, "position": 1}, {**ROW, "job_id": "k"}])

    assert [each["position"] for each in found["j"]] == [0, 1]
    assert [len(found[each]) for each in ("k", "none")] == [1, 0]
    assert records.picture_of(ROW) == Picture("e" * 64, PictureKind.JPEG, 9, 3, 2)


def test_of_another_members_input_only_the_number_is_said() -> None:
    names = ("name", "url", "size", "width", "height")
    own = dict(zip(names, ("1.png", "https://x", 1, 2, 3), strict=True))
    job = {
        "id": "j",
        "canceled_by_moderator": 0,
        "inputs": [own, own, {**own, "author_id": 5}, {"name": "4.png"}],
    }
    foreign = [
        {**ROW, "position": 1, "foreign": True},
        {**ROW, "position": 0, "foreign": True, "role": "output"},  # no input
    ]
    generations = [{"job_id": "j", "provider": "oxen", "remote_id": "r", "state": None, "id": 7}]

    (found,) = records.requests([job], [ROW, *foreign], generations)

    none = dict.fromkeys(names)
    assert found["inputs"] == [own, none, none, {**none, "name": "4.png"}]
    file = f"pictures/{'e' * 64}.jpg"
    assert found["pictures"] == [
        {"role": "input", "position": 0, "size": 9, "width": 3, "height": 2, "file": file},
        {"role": "input", "position": 1, "file": None},
        {"role": "output", "position": 0, "file": None},
    ]
    assert found["generations"] == [{"provider": "oxen", "remote_id": "r", "state": None}]
    assert found["canceled_by_moderator"] is False
