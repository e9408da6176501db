import asyncio
import io
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from bot.sandbox.demo.folder import FolderRefused, prepare
from bot.sandbox.demo.process import environment, run_bot
from bot.sandbox.demo.run import run_demo
from bot.sandbox.demo.stage import Stage, Step, Unmet, brief
from bot.sandbox.demo.steps import read_ledger

pytestmark = pytest.mark.long


async def run(folder: Path, *steps: Step) -> tuple[int, str]:
    stream = io.StringIO()
    code = await run_demo(folder, stream=stream, **({"steps": steps} if steps else {}))
    return code, stream.getvalue()


def files_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_the_whole_demonstration_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "the operator's own")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/the-operators.db")
    folder = tmp_path / "sandbox"

    code, output = await run(folder)

    assert code == 0, output
    assert "✗" not in output
    assert output.count("✓") >= 20
    posted = sorted((folder / "pictures").iterdir())
    (table,) = [each for each in posted if each.suffix == ".csv"]
    assert table.read_text("utf-8-sig").count("\n") > 1
    exports = [each for each in posted if each.suffix == ".zip"]
    assert exports
    for export in exports:
        assert zipfile.is_zipfile(export)
    pictures = [each for each in posted if each not in (table, *exports)]
    assert len(pictures) == 37
    for picture in pictures:
        with Image.open(picture) as opened:
            opened.load()
    page = (folder / "index.html").read_text()
    assert all(f'src="pictures/{picture.name}"' in page for picture in pictures)
    assert all(f'href="pictures/{export.name}"' in page for export in exports)
    assert (folder / "data" / "easel.db").exists()
    assert (folder / "easel.log").stat().st_size
    assert not (tmp_path / "the-operators.db").exists()


async def test_a_failed_step_prints_the_expectation_and_the_log(tmp_path: Path) -> None:
    async def fail(stage: Stage) -> None:
        await stage.discord.connected()
        raise Unmet("a cat", "a dog")

    async def never(stage: Stage) -> None:
        raise AssertionError("a step after one that failed")

    code, output = await run(tmp_path, Step("Cats", fail, seconds=60), Step("Dogs", never))

    assert code == 1
    assert "✗ expected: a cat" in output
    assert "seen:     a dog" in output
    assert "easel.log" in output
    assert "Dogs" not in output
    assert (tmp_path / "index.html").exists()


async def test_a_step_that_takes_too_long_fails(tmp_path: Path) -> None:
    async def wait(stage: Stage) -> None:
        await asyncio.Event().wait()

    code, output = await run(tmp_path, Step("Waiting", wait, seconds=0.05))

    assert code == 1
    assert "✗ expected: the step done within 0.05 s" in output


async def test_an_error_in_a_step_is_printed_as_a_failure(tmp_path: Path) -> None:
    async def stumble(stage: Stage) -> None:
        raise KeyError("lost")

    code, output = await run(tmp_path, Step("Stumbling", stumble))

    assert code == 1
    assert "KeyError: 'lost'" in output


async def test_an_early_end_of_the_bot_fails_the_step_at_once(tmp_path: Path) -> None:
    async def kill_and_wait(stage: Stage) -> None:
        await stage.bot.kill()
        await asyncio.Event().wait()

    code, output = await run(tmp_path, Step("Dying", kill_and_wait))

    assert code == 1
    assert "✗ expected: a running bot" in output
    assert "exit code -9" in output


async def test_an_action_that_discord_does_not_allow_fails_the_step(tmp_path: Path) -> None:
    async def use_nothing(stage: Stage) -> None:
        await stage.use(stage.ada, "nonsense")

    code, output = await run(tmp_path, Step("Nonsense", use_nothing))

    assert code == 1
    assert "✗ expected: an action that Discord allows" in output


async def test_the_bot_never_outlives_the_demonstration(tmp_path: Path) -> None:
    async with run_bot(tmp_path, {"DISCORD_API_URL": "http://127.0.0.1:9"}) as bot:
        pass

    async with asyncio.timeout(20):
        assert await bot.ended() != 0


async def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")

    code, output = await run(tmp_path)

    assert code == 2
    assert "is not empty" in output
    assert files_in(tmp_path) == {"index.html"}
    assert (tmp_path / "index.html").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")

    with pytest.raises(FolderRefused, match="is a file"):
        prepare(tmp_path / "taken")


def test_a_folder_with_settings_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path / "sandbox")
    (tmp_path / "sandbox" / ".env").write_text("DISCORD_TOKEN=real")

    with pytest.raises(FolderRefused, match=r"\.env"):
        prepare(tmp_path / "sandbox")


def test_only_the_output_of_an_earlier_run_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "sandbox"
    prepare(folder)
    (folder / "data").mkdir()
    (folder / "data" / "easel.db").write_text("old")
    (folder / "index.html").write_text("old")
    (folder / "notes.txt").write_text("mine")

    prepare(folder)

    assert files_in(folder) == {".easel-sandbox", "notes.txt"}


def test_clearing_a_folder_does_not_follow_links_out_of_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "picture.png").write_text("mine")
    prepare(tmp_path / "sandbox")
    (tmp_path / "sandbox" / "pictures").symlink_to(elsewhere)

    prepare(tmp_path / "sandbox")

    assert (elsewhere / "picture.png").exists()
    assert not (tmp_path / "sandbox" / "pictures").is_symlink()


@pytest.mark.parametrize(
    "name", ["DISCORD_TOKEN", "OXEN_API_KEY", "SKILLS_API_KEY", "HTTPS_PROXY", "MONTHLY_CREDITS"]
)
def test_nothing_of_the_operators_settings_reaches_the_bot(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "the operator's")
    monkeypatch.setenv("PATH", "inherited")

    seen = environment({"DISCORD_API_URL": "ours"})

    assert name not in seen
    assert seen["PATH"] == "inherited"
    assert seen["DISCORD_API_URL"] == "ours"


def test_the_ledger_is_summed_and_holds_without_a_release_are_counted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "easel.db")) as database:
        database.execute("CREATE TABLE ledger (job_id TEXT, kind TEXT, amount INTEGER)")
        database.executemany(
            "INSERT INTO ledger VALUES (?, ?, ?)",
            [
                ("a", "hold", -7500),
                ("a", "release", 7500),
                ("a", "capture", -7500),
                ("b", "hold", -15000),
            ],
        )
        database.commit()

    assert read_ledger(tmp_path / "easel.db") == (-22500, 4, 1)


def test_a_message_is_shortened_to_one_line() -> None:
    assert brief("**Queued** <t:1:R>\n> \\*a\\*\n-# 1 picture") == "Queued · *a* · 1 picture"
    assert brief("a" * 500) == "a" * 95 + "…"
