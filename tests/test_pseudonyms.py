"""The pseudonyms, their key, and the journal by which deletions survive a restored backup."""

import asyncio
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from typer.testing import CliRunner

from bot.__main__ import cli
from bot.errors import StartupError
from bot.pictures.erasures import ERASED
from bot.pseudonym_key import FILE
from bot.pseudonyms import BITS, EPOCH, Journaled, Pseudonyms, make_key, read_key
from bot.settings import Settings
from bot.store import erasure_requests
from tests.support.acting import press
from tests.support.command_line import easel
from tests.support.easel import Stage, text_of
from tests.support.stores import Shelf

KEY = Pseudonyms(SecretStr("a key of pseudonyms for the tests alone"))
IDS = st.integers(1, 2**63 - 1)


@given(IDS)
def test_a_pseudonym_is_negative_and_has_62_bits(user_id: int) -> None:
    pseudonym = KEY.of(user_id)

    assert -(2**BITS) < pseudonym < 0
    assert KEY.of(user_id) == pseudonym


def test_pseudonyms_depend_on_the_key_and_on_the_member() -> None:
    other = Pseudonyms(SecretStr("another key of pseudonyms for the tests"))

    assert len({KEY.of(1), KEY.of(2), other.of(1), other.of(2)}) == 4
    assert KEY.fingerprint != other.fingerprint
    assert KEY.key.get_secret_value() not in repr(KEY)


@given(IDS, st.integers(1_600_000_000_000_000, 4_000_000_000_000_000))
def test_an_entry_of_the_journal_is_read_as_written(user_id: int, microseconds: int) -> None:
    moment = EPOCH + timedelta(microseconds=microseconds)
    entry = Journaled(KEY.fingerprint, KEY.of(user_id), moment)
    read = Journaled.parse(str(entry))

    assert read is not None
    assert (read.fingerprint, read.pseudonym) == (entry.fingerprint, entry.pseudonym)
    assert timedelta(0) <= moment - read.requested_at < timedelta(milliseconds=1)


@pytest.mark.parametrize("name", ["", ".lock", "a-b-c", "0" * 70, "x.part"])
def test_other_files_of_the_journal_are_no_entries(name: str) -> None:
    assert Journaled.parse(name) is None


async def test_both_stores_of_pictures_have_a_journal(shelf: Shelf, tmp_path: Path) -> None:
    store, name = shelf.store, str(Journaled(KEY.fingerprint, -5, datetime.now(UTC)))
    assert await store.erasures() == {}
    for _ in range(2):
        await store.note_erasure(name)
    await store.copy_to(tmp_path / "copy")

    assert await store.erasures() == {name: b""}
    assert await store.files() == []
    assert [path.name for path in (tmp_path / "copy" / ERASED).iterdir()] == [name]


def test_a_key_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / FILE
    assert read_key(path) is None
    made = make_key(path)

    assert read_key(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made.get_secret_value()) == 64
    path.write_text("cut")
    with pytest.raises(StartupError, match="holds no key"):
        read_key(path)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(StartupError, match="PSEUDONYM_KEY"):
        Settings.load(None, {"PSEUDONYM_KEY": "short"})


async def deleted(at: Stage, *, timeout: float = 20) -> None:
    asked = await at.command("mydata delete")
    assert asked.message is not None
    await press(at, asked.message, "Delete my data")
    await ended(at, timeout=timeout)


async def ended(at: Stage, *, timeout: float = 20) -> None:
    async with asyncio.timeout(timeout), at.database() as database:
        while True:
            async with database.reading() as view:
                if not await erasure_requests.pending(view):
                    return
            await asyncio.sleep(0.02)


async def is_in_a_file(at: Stage, *words: str) -> bool:
    return any(
        word.encode() in path.read_bytes()
        for path in at.folder.rglob("*")
        if path.is_file()
        for word in words
    )


def back_up(at: Stage, there: Path) -> None:
    there.mkdir()
    target = ["backup", str(there / "easel.db"), "--pictures", str(there / "pictures")]
    copied = CliRunner().invoke(cli, target, env={"DATABASE_URL": f"sqlite:///{at.path}"})
    assert copied.exit_code == 0, copied.output


async def test_what_was_deleted_does_not_come_back_with_a_backup(
    at: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        await at.imagine("a zebra")
        await at.result("a zebra")
        await at.settled()
        await asyncio.to_thread(back_up, at, tmp_path / "before")
        await deleted(at)
        at.clock.move(minutes=1)
        await at.imagine("a badger")
        await at.result("a badger")
        await at.settled()
    # The database alone is restored, and the folder of the pictures stays.
    for ending in ("-wal", "-shm"):
        Path(f"{at.path}{ending}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "before" / "easel.db", at.path)
    shutil.copytree(tmp_path / "before" / "pictures", at.folder / "pictures", dirs_exist_ok=True)
    restored = {path.name for path in (tmp_path / "before" / "pictures").glob("??/*")}
    shutil.rmtree(tmp_path / "before")
    assert await is_in_a_file(at, "zebra")

    async with at.easel():
        async with asyncio.timeout(20):
            while "deletions made again" not in caplog.text:
                await asyncio.sleep(0.02)
        await ended(at)
        await asyncio.to_thread(back_up, at, tmp_path / "after")
    at.folder = tmp_path

    assert not await is_in_a_file(at, "zebra", str(at.ada.id))
    assert len(restored) == 1
    assert not [path for path in tmp_path.rglob("*") if path.name in restored]
    assert "zebra" not in caplog.text
    assert str(at.ada.id) not in caplog.text


async def test_a_start_deletes_nothing_that_came_later(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a zebra")
        await at.result("a zebra")
        await at.settled()
        await deleted(at)
        await at.imagine("a badger")
        await at.result("a badger")
        await at.settled()
    async with at.easel():
        await asyncio.sleep(0.5)  # the journal is read in the first turn
        assert len(await at.jobs()) == 1


async def test_a_lost_key_is_reported_and_no_new_one_is_made(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    key = at.path.with_name(FILE)
    async with at.easel():
        await at.imagine("a zebra")
        await at.result("a zebra")
        await at.settled()
        await deleted(at)
    saved = key.read_bytes()
    key.unlink()
    async with at.easel():
        await at.imagine("a badger")
        await at.result("a badger")
        await at.settled()
        refused = await at.command("mydata delete")
    assert not key.exists()
    assert "cannot be deleted now" in text_of(refused)
    assert f"{FILE} is missing, and members' data was deleted by that key before" in caplog.text

    key.write_bytes(saved)
    async with at.easel():
        await deleted(at)
    assert await at.jobs() == []


@pytest.mark.long
async def test_the_check_and_the_program_know_the_key(at: Stage) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{at.path}", "DISCORD_TOKEN": "x"}
    key = at.path.with_name(FILE)
    early = await easel(at.folder, "data", "delete", str(at.ada.id), **settings)
    assert "Start Easel once" in early.errors
    async with at.easel():
        await at.imagine("a zebra")
        await at.result("a zebra")
        await at.settled()
        unknown = await easel(at.folder, "data", "delete", "5", **settings)
        assert "nothing is stored about user 5" in unknown.out
        done = await easel(at.folder, "data", "delete", str(at.ada.id), **settings)
        assert "1 jobs and all else" in done.out
        await ended(at)
    assert not await is_in_a_file(at, "zebra")
    checked = await easel(at.folder, "check", **settings)
    assert f"{key}: copy it to a place apart" in " ".join(checked.out.split())

    make_key(key)
    checked = await easel(at.folder, "check", **settings)
    assert "is not the key by which" in " ".join(checked.out.split())
    refused = await easel(at.folder, "data", "delete", str(at.ada.id), **settings)
    assert refused.code == 2
    assert "Restore that key" in refused.errors
