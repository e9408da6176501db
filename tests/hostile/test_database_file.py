"""The database file is removed, or replaced by another, under the running bot."""

import asyncio
import shutil
from pathlib import Path

import aiohttp
import pytest

from bot.errors import NotNow
from bot.store import sqlite
from tests.support.easel import Stage, text_of


@pytest.mark.parametrize("by", ["nothing", "a copy"])
async def test_a_file_that_is_gone_is_noticed_and_a_file_that_is_back_is_used(
    at: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.05)
    aside = at.folder / "aside.db"
    async with at.easel(http_port=0) as app:
        await at.imagine("a fox")
        await at.settled()
        at.path.rename(aside)
        if by == "a copy":
            shutil.copy(aside, at.path)
        async with asyncio.timeout(20):
            while "removed or replaced" not in caplog.text:
                await asyncio.sleep(0.01)
        refused = text_of(await at.imagine("another fox"))
        status = await health(app.http_port)
        aside.rename(at.path)
        async with asyncio.timeout(20):
            while await health(app.http_port) != 200:
                await asyncio.sleep(0.05)
        await at.imagine("a third fox")
        await at.result("a third fox")
        await at.settled(2)

    assert "not possible right now" in refused
    assert status == 503
    assert caplog.text.count("removed or replaced") == 1
    assert {job.request.prompt for job in await at.jobs()} == {"a fox", "a third fox"}


async def test_a_folder_that_became_a_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.05)
    folder, aside = tmp_path / "data", tmp_path / "aside"
    async with sqlite.SQLiteDatabase(folder / "easel.db") as opened:
        folder.rename(aside)
        folder.touch()
        async with asyncio.timeout(20):
            while "removed or replaced" not in caplog.text:
                await asyncio.sleep(0.01)
        with pytest.raises(NotNow):
            async with opened.transaction():
                pass


async def health(port: int | None) -> int:
    url = f"http://127.0.0.1:{port}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status
