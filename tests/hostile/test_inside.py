"""What must stay inside: files, tokens, signatures, and the health port."""

import asyncio
import json
import os
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import aiohttp
import pytest

from bot.jobs import JobStatus
from bot.observability import connections
from bot.observability.connections import MAX_CONNECTIONS
from bot.sandbox.demo.process import run_bot
from bot.sandbox.discord import Upload
from bot.sandbox.http.faults import Answer
from bot.store.database_file import back_up
from tests.support.easel import KEY, TOKEN, Stage
from tests.support.files import picture
from tests.test_check import lines_of

SEND = r"/api/v10/channels/\d+/messages"


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777
        for path in folder.rglob("*")
        if path.name != "easel.log"  # made by the test
    }


@pytest.mark.long
async def test_files_and_folders_are_the_users_alone(at: Stage) -> None:
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "DATABASE_URL": "sqlite:///new/data/easel.db",
    }
    os.umask(0o022)
    async with run_bot(at.folder, settings):
        await at.discord.connected(60)
        await at.discord.commands_registered()
        await at.imagine("a fox")
        await at.result("a fox")
        found = modes(at.folder / "new")

    assert any(name.endswith(".png") for name in found)
    assert {mode for name, mode in found.items() if (at.folder / "new" / name).is_file()} == {0o600}
    assert {mode for name, mode in found.items() if (at.folder / "new" / name).is_dir()} == {0o700}


@pytest.mark.long
async def test_the_check_names_files_that_others_may_read(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox")
        await at.settled()
    at.folder.chmod(0o755)
    at.path.chmod(0o644)
    _, lines = await lines_of(at)
    assert "other users may read" in lines["permissions"][0]["finding"]
    at.folder.chmod(0o700)
    _, lines = await lines_of(at)
    assert "permissions" not in lines


async def test_a_stored_error_of_a_delivery_holds_no_token(at: Stage) -> None:
    async with at.easel():
        at.oxen.manual = True
        asked = await at.imagine("a fox")
        await at.said("Drawing")
        refusal = Answer(503, {"message": f"no: /webhooks/1/{asked.token}/messages"})
        at.discord.faults.add("POST", SEND, refusal, times=None)
        await at.finish()
        async with asyncio.timeout(20):
            while not (await at.jobs())[0].delivery_error:
                await asyncio.sleep(0.05)
        (job,) = await at.jobs()

    assert asked.token not in str(job.delivery_error)
    assert "/webhooks/1/…/messages" in str(job.delivery_error)


async def test_a_backup_opens_no_attachment(at: Stage, tmp_path: Path) -> None:
    async with at.easel():
        await at.edit(Upload("cat.png", picture()))
        await at.settled()
        (job,) = await at.jobs()
    address, _, signature = job.inputs[0].url.partition("?")
    await asyncio.to_thread(back_up, at.path, tmp_path / "copy.db")

    assert signature
    assert signature.encode() not in (tmp_path / "copy.db").read_bytes()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        ((inputs,),) = copy.execute("SELECT inputs FROM jobs").fetchall()
    assert [each["url"] for each in json.loads(inputs)] == [address]


@pytest.mark.long
async def test_a_job_whose_key_was_taken_out_ends_after_a_day(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        await at.said("Drawing")
    at.clock.move(hours=24, minutes=9)
    async with at.easel(oxen_api_key=None):
        await asyncio.sleep(2.5)  # a turn of the housekeeping
        (job,) = await at.jobs()
        assert job.status is JobStatus.RUNNING
        at.clock.move(minutes=2)
        (job,) = await at.settled()

    assert job.status is JobStatus.FAILED
    assert await at.balance() == 0
    assert [entry.amount for entry in await at.losses()] == [-7_500]


async def test_a_start_without_any_limit_says_so(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with at.easel():
        pass
    assert "no limit of credits is set" in caplog.text
    caplog.clear()
    async with at.easel(monthly_credits=100):
        pass
    assert "no limit of credits is set" not in caplog.text


async def test_the_health_port_bounds_its_connections(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 1.0)
    async with at.easel(http_port=0) as app:
        opened = [
            await asyncio.open_connection("127.0.0.1", app.http_port)
            for _ in range(MAX_CONNECTIONS + 20)
        ]
        # The oldest are closed at once for newer ones, the others because they are idle.
        for number, (reader, _) in enumerate(opened):
            with pytest.raises(ConnectionError):
                if await asyncio.wait_for(reader.read(), 20) == b"":
                    raise ConnectionResetError
            assert number > 20 or not opened[-1][0].at_eof()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{app.http_port}/metrics"
            async with session.get(url) as response:
                assert response.status == 200
            for host, status in (("evil.example", 421), ("localhost:1", 200), ("[", 421)):
                async with session.get(url, headers={"Host": host}) as response:
                    assert response.status == status
        for _, writer in opened:
            writer.close()


async def test_slow_clients_of_the_health_port_keep_nobody_out(at: Stage) -> None:
    """Each sends the head of its request byte by byte, and is never idle."""
    async with at.easel(http_port=0) as app, AsyncExitStack() as opened:
        readers = []
        for _ in range(MAX_CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", app.http_port)
            opened.callback(writer.close)
            writer.write(b"GET /metrics HTTP/1.1\r\nX: ")
            readers.append(reader)
        url = f"http://127.0.0.1:{app.http_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 200
        assert [reader.at_eof() or bool(reader.exception()) for reader in readers].count(True) == 1
