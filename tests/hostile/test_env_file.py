"""A file of settings that cannot be read: one line and exit status 2, from every program."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.check.settings import _shown
from bot.database_address import database_path
from bot.errors import StartupError
from bot.settings import Settings
from tests.test_main import ROOT

LONG = pytest.mark.long
PROGRAMS = [
    ["run"],
    pytest.param(["backup", "copy.db"], marks=LONG),
    pytest.param(["ledger", "verify"], marks=LONG),
]
TEXT = "DISCORD_TOKEN=abc\nOXEN_API_KEY=é\n"


def utf16(path: Path) -> None:
    path.write_text(TEXT, encoding="utf-16")


def latin1(path: Path) -> None:
    path.write_text(TEXT, encoding="latin-1")


def utf16_without_mark(path: Path) -> None:
    path.write_text(TEXT.replace("é", "e"), encoding="utf-16-le")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def easel(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # the program itself
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


FILES = [
    (utf16, "is not UTF-8 text. Save it again as UTF-8."),
    (latin1, "is not UTF-8 text. Save it again as UTF-8."),
    (folder, "is a folder. Remove it, and write the settings into a file of this name."),
    (utf16_without_mark, "is not UTF-8 text. Save it again as UTF-8."),
    (fifo, "is no file. Remove it, and write the settings into a file."),
]
KINDS = ["UTF-16", "Latin-1", "folder", "UTF-16 without a mark", "FIFO"]


@pytest.mark.long
@pytest.mark.parametrize(("spoil", "says"), FILES, ids=KINDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_an_unreadable_file_is_one_line_with_the_remedy(
    tmp_path: Path, program: list[str], spoil: Callable[[Path], None], says: str
) -> None:
    spoil(tmp_path / ".env")
    ended = easel(*program, folder=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr == f"easel: .env {says}\n"


@LONG
@pytest.mark.parametrize(("spoil", "says"), FILES, ids=KINDS)
def test_the_check_says_so_too(tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(tmp_path / ".env")
    ended = easel("check", folder=tmp_path)

    assert ended.returncode == 1
    assert says.partition(".")[0] in " ".join(ended.stdout.split())
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(TEXT)
    (tmp_path / ".env").chmod(0)
    with pytest.raises(StartupError, match="cannot be read: Permission denied"):
        Settings.load(tmp_path / ".env")


def test_a_mark_at_the_start_of_a_file_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_JOBS=7\n", encoding="utf-8-sig")

    assert Settings.load(tmp_path / ".env").max_jobs == 7


@pytest.mark.parametrize("url", ["sqlite://data/easel.db", "sqlite://easel.db/x"])
def test_a_file_whose_address_lacks_a_slash_is_not_another_file(url: str) -> None:
    with pytest.raises(StartupError, match="would be a host"):
        database_path(url)


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite:///:memory:", "sqlite:///data/a.db?mode=ro", "sqlite:///~/a.db"),
        *("sqlite:///file:data/x.db", "sqlite://u@/x.db", "postgres:u:S3CRPW@h", "sqlite://"),
    ],
)
def test_what_is_not_just_a_file_is_refused_without_its_value(url: str) -> None:
    with pytest.raises(StartupError, match=r"only|not an address") as caught:
        database_path(url)

    assert "S3CRPW" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("http:/us:S3CRPW@127.0.0.1/api", "http://us:S3CRPW@127.0.0.1/api", "ftp://a/S3CRPW"),
        *("http://us@127.0.0.1/", "https://a.example/?key=S3CRPW", "https://a.example/#S3CRPW"),
        "http:///us:S3CRPW@h",
    ],
)
def test_an_address_of_an_api_has_no_secret_and_is_not_repeated(url: str) -> None:
    with pytest.raises(StartupError, match=r"^DISCORD_API_URL: ") as caught:
        Settings.load(None, {"DISCORD_API_URL": url})

    assert "S3CRPW" not in str(caught.value)


def test_a_setting_that_is_not_utf_8_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_MODEL", "caf\udce9")
    with pytest.raises(StartupError, match=r"DEFAULT_MODEL: .*not UTF-8 text"):
        Settings.load(None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://us:S3CR@PW@127.0.0.1:9/api", "http://…@127.0.0.1:9/api"),
        ("postgresql://us:S3/CRPW@h/x", "postgresql://…@h/x"),
        ("http:/us:S3CRPW@h", "http:/…@h"),
        ("postgres:us:S3CRPW@h", "postgres:…@h"),
        ("https://a.example/x?key=S3CR", "https://a.example/x?…"),
        ("sqlite:///data/easel.db", "sqlite:///data/easel.db"),
        ("qwen-image-2", "qwen-image-2"),
    ],
)
def test_the_check_shows_addresses_without_their_secrets(value: str, shown: str) -> None:
    assert _shown(value) == shown
