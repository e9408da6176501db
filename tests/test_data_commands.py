"""`easel data export`: everything about a member, for the operator."""

import asyncio
from pathlib import Path

import pytest

from bot.data_commands import _export, _prepare
from bot.errors import StartupError
from bot.jobs import Picture, PictureKind
from bot.pictures import FileStore
from bot.settings import Settings
from bot.store.backends import open_database
from bot.studio.export.records import file_of
from tests.support.command_line import easel
from tests.support.easel import Stage
from tests.support.member_data import ADA, lines, store_two, stored_job, unpacked


def settings_of(database_url: str, tmp_path: Path) -> Settings:
    return Settings.load(
        None,
        {
            "discord_token": "token",
            "database_url": database_url,
            "pictures_url": f"file://{tmp_path}/pictures",
        },
    )


async def exported(settings: Settings, user_id: int, folder: Path) -> dict[str, bytes]:
    files, _ = await _export(settings, user_id, folder)
    assert sorted(files) == sorted(folder.iterdir())
    return unpacked([await asyncio.to_thread(file.read_bytes) for file in files])


async def test_the_folder_gets_everything_about_the_member(
    database_url: str, tmp_path: Path
) -> None:
    store = FileStore(tmp_path / "pictures")
    async with open_database(database_url) as database:
        two = await store_two(database, store)
    folder = tmp_path / "deep" / "ada"
    _prepare(folder)

    files = await exported(settings_of(database_url, tmp_path), ADA, folder)

    assert [line["id"] for line in lines(files, "requests")] == [two.second.id, two.first.id]
    assert files[file_of(two.drawn)] == await store.read(two.drawn)


async def test_nothing_is_written_about_an_unknown_user(database_url: str, tmp_path: Path) -> None:
    async with open_database(database_url):
        pass
    folder = tmp_path / "nobody"
    _prepare(folder)

    with pytest.raises(StartupError, match=r"Nothing is stored about the user 5\. Compare the id"):
        await _export(settings_of(database_url, tmp_path), 5, folder)
    assert not list(folder.iterdir())


async def test_a_removed_picture_is_counted(database_url: str, tmp_path: Path) -> None:
    gone = Picture("a" * 64, PictureKind.PNG, 9, 1, 1)
    async with open_database(database_url) as database:
        await stored_job(database, ADA, "a fox", [gone])
    folder = tmp_path / "ada"
    _prepare(folder)

    files, left_out = await _export(settings_of(database_url, tmp_path), ADA, folder)

    assert (len(files), left_out) == (1, 1)


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StartupError, match=r"is not empty\. Name a folder that does not exist"):
        _prepare(tmp_path)
    with pytest.raises(StartupError, match=r"file is a file\. Name a folder"):
        _prepare(tmp_path / "file")


@pytest.mark.long
async def test_the_command_works_beside_a_running_bot(at: Stage) -> None:
    url = f"sqlite:///{at.path}"
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
        user = str(at.ada.id)
        done = await easel(at.folder, "data", "export", user, "ada", DATABASE_URL=url)
        again = await easel(at.folder, "data", "export", user, "ada", DATABASE_URL=url)
        unknown = await easel(at.folder, "data", "export", "5", "nobody", DATABASE_URL=url)
        wrong = await easel(at.folder, "data", "export", "ada", "ada", DATABASE_URL=url)

    (file,) = (at.folder / "ada").iterdir()
    assert (done.code, done.errors) == (0, "")
    assert done.out.startswith(f"ada/{file.name}: 0.")
    (request,) = lines(unpacked([file.read_bytes()]), "requests")
    assert request["prompt"] == "a fox"
    assert (again.code, again.errors) == (
        2,
        "easel: ada is not empty. Name a folder that does not exist.\n",
    )
    assert (unknown.code, "Nothing is stored about the user 5" in unknown.errors) == (2, True)
    assert (wrong.code, "USER takes an id of Discord" in wrong.errors) == (2, True)
