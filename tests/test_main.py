"""The command line, as an operator meets it: a process of its own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bot.sandbox.discord import FakeDiscord
from tests.support.easel import KEY, TOKEN

ROOT = Path(__file__).parent.parent


async def start(folder: Path, **settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "run",
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings},
        stderr=asyncio.subprocess.PIPE,
    )


async def end_of(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "DISCORD_TOKEN is not set"),
        ({"DISCORD_TOKEN": "hello"}, "DISCORD_TOKEN is not a bot's token"),
        ({"DISCORD_TOKEN": TOKEN}, "No API key is set"),
        (
            {"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": KEY, "DATABASE_URL": "postgresql://db/x"},
            "DATABASE_URL: db/x cannot be reached",
        ),
        (
            {"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": KEY, "DATABASE_URL": "mysql://db/x"},
            "DATABASE_URL: only SQLite files and PostgreSQL are possible",
        ),
        (
            {"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": KEY, "DATABASE_URL": "sqlite:////dev/null/x"},
            "DATABASE_URL: ",
        ),
        ({"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": KEY, "JOB_TIMEOUT": "soon"}, "JOB_TIMEOUT: "),
    ],
)
async def test_what_cannot_start_says_so_in_one_line(
    tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    code, errors = await end_of(await start(tmp_path, **settings))

    assert code == 2
    assert errors.startswith(f"easel: {says}")
    assert errors.count("\n") == 1


@pytest.mark.long
async def test_a_token_that_discord_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    async with FakeDiscord(token=TOKEN) as discord:
        process = await start(
            tmp_path,
            DISCORD_TOKEN=TOKEN[:-4] + "xxxx",
            OXEN_API_KEY=KEY,
            OXEN_API_URL="http://127.0.0.1:9",
            DISCORD_API_URL=discord.url,
            LOG_LEVEL="ERROR",
        )
        code, errors = await end_of(process)

    assert code == 2
    assert errors.startswith("easel: DISCORD_TOKEN: Discord refuses it.")
    assert errors.count("\n") == 1


@pytest.mark.long
async def test_names_of_other_programs_in_the_environment_stop_no_start(tmp_path: Path) -> None:
    foreign = {"HTTPS_PORT": "443", "SERVER": "x", "LOGLEVEL": "2", "DATABASE_URI": "mysql://x"}
    async with FakeDiscord(token=TOKEN) as discord:
        process = await start(
            tmp_path,
            DISCORD_TOKEN=TOKEN,
            OXEN_API_KEY=KEY,
            OXEN_API_URL="http://127.0.0.1:9",
            DISCORD_API_URL=discord.url,
            **foreign,
        )
        await discord.connected(60)
        process.send_signal(signal.SIGTERM)
        code, errors = await end_of(process)

    assert code == 0
    for name, meant in (("HTTPS_PORT", "HTTP_PORT"), ("DATABASE_URI", "DATABASE_URL")):
        assert f"{name} in the environment is not a setting" in errors
        assert f"Did you mean {meant}?" in errors


@pytest.mark.long
async def test_a_misspelt_name_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URI=mysql://x\n")

    code, errors = await end_of(
        await start(tmp_path, DISCORD_TOKEN=TOKEN, OXEN_API_KEY=KEY, HTTPS_PORT="443")
    )

    assert code == 2
    assert "easel: DATABASE_URI in .env is not a setting. Did you mean DATABASE_URL?" in errors


@pytest.mark.long
async def test_a_second_bot_on_the_same_file_names_the_first(tmp_path: Path) -> None:
    async with FakeDiscord(token=TOKEN) as discord:
        settings = {
            "DISCORD_TOKEN": TOKEN,
            "OXEN_API_KEY": KEY,
            "OXEN_API_URL": "http://127.0.0.1:9",
            "DISCORD_API_URL": discord.url,
        }
        first = await start(tmp_path, **settings)
        await discord.connected(60)

        code, errors = await end_of(await start(tmp_path, **settings))
        first.send_signal(signal.SIGTERM)
        first_code, first_errors = await end_of(first)

    assert code == 2
    assert f"in use by another Easel (process {first.pid})" in errors
    assert first_code == 0
    assert "Traceback" not in first_errors
    assert TOKEN not in first_errors
    assert KEY not in first_errors
